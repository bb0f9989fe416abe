// Who is logged in. The access token lives in this variable alone; the refresh token in a cookie that scripts can't see.
import { say } from "./messages.js";
import { toast } from "./ui.js";

const root = document.documentElement;
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("titanium.session") : null;
let token = "";
let expires = 0;

export const user = () => stored("titanium.user") ?? "";

function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key, value) {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {
    // Without storage the session lasts as long as this page.
  }
}

function remember(name) {
  store("titanium.user", name);
  root.dataset.session = name ? "in" : "out";
  document.dispatchEvent(new CustomEvent("session"));
}

function adopt(answer) {
  token = answer.token;
  expires = Date.now() + answer.expires_in * 1000;
  if (answer.user.username !== user() || root.dataset.session !== "in") remember(answer.user.username);
}

function forget() {
  token = "";
  expires = 0;
  remember("");
}

channel?.addEventListener("message", (event) => {
  if (event.data === "out") forget();
  else remember(event.data);
});

export class Failure extends Error {
  constructor(status, body, response) {
    super(`HTTP ${status}`);
    this.status = status;
    this.body = body;
    this.response = response;
  }

  // What to tell the user.
  get text() {
    if (this.status === 0) return say("offline");
    if (this.status === 429) return say("busy", { seconds: this.response.headers.get("retry-after") ?? "60" });
    if (this.status >= 500) return say("unavailable");
    if (this.status === 401) return say("expired");
    const detail = this.body?.detail;
    if (Array.isArray(detail)) return detail.map((item) => `${item.loc?.at(-1) ?? ""}: ${item.msg}`).join("\n");
    return typeof detail === "string" ? detail : say("failed");
  }
}

async function send(method, path, body, headers = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Failure(0, null, null);
  }
  const text = await response.text();
  let parsed = null;
  try {
    parsed = text ? JSON.parse(text) : null;
  } catch {
    // Not ours: a proxy's page.
  }
  if (!response.ok) throw new Failure(response.status, parsed, response);
  return { body: parsed, response };
}

// Tabs share the cookie, and a refresh token works once: they take turns.
function takingTurns(work) {
  return navigator.locks ? navigator.locks.request("titanium.refresh", work) : work();
}

// A page that is reloaded while it waits for the answer asks again, by the same name: no token was used twice.
async function renew() {
  const name = "titanium.refresh";
  const key = stored(name) ?? crypto.getRandomValues(new Uint32Array(4)).join("-");
  store(name, key);
  let answer;
  try {
    answer = await send("POST", "/api/auth/refresh", undefined, { "idempotency-key": key });
  } catch (failure) {
    if (failure.status >= 400 && failure.status < 500) store(name, null);
    throw failure;
  }
  store(name, null);
  return answer;
}

let refreshing = null;
function refresh() {
  refreshing ??= takingTurns(renew)
    .then(({ body }) => adopt(body))
    .finally(() => {
      refreshing = null;
    });
  return refreshing;
}

async function fresh() {
  if (!token || Date.now() > expires - 20000) {
    try {
      await refresh();
    } catch (failure) {
      if (failure.status === 401) {
        const was = user();
        forget();
        if (was) toast(say("expired"), true);
      }
      throw failure;
    }
  }
}

// A call on behalf of the user. Repeated once with a new token if the server no longer takes the one we have.
export async function call(method, path, body, headers = {}) {
  await fresh();
  try {
    return await send(method, path, body, { ...headers, authorization: `Bearer ${token}` });
  } catch (failure) {
    if (failure.status !== 401) throw failure;
    token = "";
    await fresh();
    return send(method, path, body, { ...headers, authorization: `Bearer ${token}` });
  }
}

export async function logIn(username, password) {
  const { body } = await send("POST", "/api/login", { username, password });
  adopt(body);
  channel?.postMessage(body.user.username);
  toast(say("welcome", { name: body.user.username }));
}

export async function register(username, email, password) {
  await send("POST", "/api/register", { username, email, password });
  await logIn(username, password);
}

export async function logOut() {
  try {
    await send("POST", "/api/auth/logout", undefined, token ? { authorization: `Bearer ${token}` } : {});
  } catch (failure) {
    // The session must not look ended while it isn't.
    if (failure.status !== 401) {
      toast(failure.text, true);
      return;
    }
  }
  forget();
  channel?.postMessage("out");
  toast(say("bye"));
}
