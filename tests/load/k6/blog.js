// What a reader and a writer do, and what must hold whoever does it; the profiles in this folder say how many there are.
import { check, group, sleep } from "k6";
import http from "k6/http";

export const BASE = (__ENV.BASE_URL || "").replace(/\/$/, "");
if (!BASE) throw new Error("BASE_URL is missing. Mend: k6 run -e BASE_URL=http://127.0.0.1:31304 ...");

// Think time is part of a user; STRETCH shortens it and the stages together, for a quick look at a long profile.
const STRETCH = Number(__ENV.STRETCH || "1");

export const thresholds = {
  http_req_duration: ["p(95)<500"],
  http_req_failed: ["rate<0.01"],
  checks: ["rate>0.99"],
};
export const summaryTrendStats = ["avg", "min", "med", "p(90)", "p(95)", "p(99)", "max"];

export function minutes(number) {
  return `${Math.max(1, Math.round(number * 60 * STRETCH))}s`;
}

export function think(from = 1, to = 3) {
  sleep((from + Math.random() * (to - from)) * Math.min(1, STRETCH * 4));
}

// Several pages of one kind are one line in the summary.
function named(name, more = {}) {
  return Object.assign({ tags: { name } }, more);
}

export function json(response) {
  try {
    return response.json();
  } catch (_) {
    return null;
  }
}

export function read() {
  group("read", () => {
    const page = http.get(`${BASE}/blog/`, named("GET /blog/"));
    check(page, { "the page is HTML": (r) => r.status === 200 && `${r.headers["Content-Type"]}`.includes("text/html") });
    think();

    const offset = Math.floor(Math.random() * 3) * 20;
    const list = http.get(`${BASE}/blog/api/posts?limit=20&offset=${offset}`, named("GET /blog/api/posts"));
    check(list, { "the list is an array": (r) => r.status === 200 && Array.isArray(json(r)) });

    const categories = http.get(`${BASE}/blog/api/categories`, named("GET /blog/api/categories"));
    check(categories, { "there are categories": (r) => r.status === 200 && (json(r) || []).length >= 3 });
    think();

    const posts = json(list) || [];
    if (posts.length) {
      const id = posts[Math.floor(Math.random() * posts.length)].id;
      // Somebody may have removed it meanwhile; that is an answer as good as the post.
      const expected = http.expectedStatuses(200, 404);
      const post = http.get(`${BASE}/blog/api/posts/${id}`, named("GET /blog/api/posts/{id}", { responseCallback: expected }));
      check(post, { "the post is there or gone": (r) => r.status === 404 || (r.status === 200 && json(r).id === id) });
      think();
    }
  });
}

export function account() {
  const name = `k6-${__VU}-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
  const password = Array.from({ length: 4 }, () => Math.random().toString(36).slice(2)).join("-");
  return { username: name, email: `${name}@example.org`, password };
}

function send(method, path, body, name, token, more = {}) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const options = named(name, Object.assign({ headers: Object.assign(headers, more.headers) }, { responseCallback: more.expected }));
  if (!more.expected) delete options.responseCallback;
  return http.request(method, `${BASE}${path}`, body === null ? null : JSON.stringify(body), options);
}

// From sign-up to the deleted account: everything that is written is removed again.
export function journey() {
  group("journey", () => {
    const user = account();
    const made = send("POST", "/api/register", user, "POST /api/register");
    if (!check(made, { "registered": (r) => r.status === 201 })) return;
    think();
    const session = send("POST", "/api/login", { username: user.username, password: user.password }, "POST /api/login");
    if (!check(session, { "logged in": (r) => r.status === 200 && Boolean(json(r).token) })) return;
    const token = json(session).token;

    const text = { title: "A post of a load test", content: "# Hello\n\nSome `code`.", category_name: "Test" };
    const post = send("POST", "/blog/api/posts", text, "POST /blog/api/posts", token);
    if (check(post, { "posted": (r) => r.status === 201 })) {
      const path = `/blog/api/posts/${json(post).id}`;
      const first = send("GET", "/blog/api/posts?limit=20", null, "GET /blog/api/posts");
      check(first, { "listed at once": (r) => (json(r) || []).some((one) => one.id === json(post).id) });
      think();
      const etag = post.headers.Etag;
      const changed = send("PATCH", path, { title: "Changed" }, "PATCH /blog/api/posts/{id}", token, { headers: { "If-Match": etag } });
      check(changed, { "changed": (r) => r.status === 200 && json(r).title === "Changed" });
      const late = send("PATCH", path, { title: "Too late" }, "PATCH /blog/api/posts/{id}", token, {
        headers: { "If-Match": etag },
        expected: http.expectedStatuses(412),
      });
      check(late, { "an old version is refused": (r) => r.status === 412 });
      const comment = send("POST", `${path}/comments`, { content: "Well said." }, "POST /blog/api/posts/{id}/comments", token);
      check(comment, { "commented": (r) => r.status === 201 });
      const again = send("GET", path, null, "GET /blog/api/posts/{id}");
      check(again, { "one's own change is read": (r) => r.status === 200 && json(r).title === "Changed" });
      think();
      const removed = send("DELETE", path, null, "DELETE /blog/api/posts/{id}", token);
      check(removed, { "removed": (r) => r.status === 204 });
      const gone = send("GET", path, null, "GET /blog/api/posts/{id}", "", { expected: http.expectedStatuses(404) });
      check(gone, { "gone": (r) => r.status === 404 });
    }
    const left = send("POST", "/api/auth/account/deletion", { password: user.password }, "POST /api/auth/account/deletion", token);
    check(left, { "account deleted": (r) => r.status === 204 });
  });
}
