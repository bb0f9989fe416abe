// Makes the page livelier. Reading, searching and moving around work without this file.
import { startEditor } from "./editor.js";
import { say, when } from "./messages.js";
import { start, visit } from "./pages.js";
import { decorate } from "./prose.js";
import { call, logIn, logOut, register, user } from "./session.js";
import { ask, icon, make, parse, toast } from "./ui.js";

const root = document.documentElement;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector, within = document) => within.querySelector(selector);

async function attempt(action) {
  try {
    return await action();
  } catch (failure) {
    if (failure.text === undefined) throw failure;
    toast(failure.text, true);
    return null;
  }
}

// --- the top
one(".theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("titanium.theme", root.dataset.theme);
  } catch {
    // Lasts as long as this page.
  }
});
one(".sign-out").addEventListener("click", () => attempt(logOut));
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input, textarea, dialog")) {
    event.preventDefault();
    one(".search input").focus();
  }
});
// The language's link is the same on every page: it keeps the address that it is clicked on.
one(".language")?.addEventListener("click", (event) => {
  event.preventDefault();
  const url = new URL(location.href);
  url.searchParams.set("lang", event.currentTarget.lang);
  location.assign(url);
});

// --- what belongs to the user
function showSession() {
  const name = user();
  one(".who .avatar").textContent = [...name][0]?.toUpperCase() ?? "";
  one(".who span:last-child").textContent = name;
  for (const element of all(".own")) {
    element.hidden = !name || element.closest("[data-author]").dataset.author !== name;
  }
  const editor = one(".editor");
  if (editor && name && !editor.dataset.started) {
    editor.dataset.started = "yes";
    startEditor(editor);
  }
  if (one(".drafts") && name) attempt(showDrafts);
}

// --- a post and its comments
function startPost(post) {
  const path = `/blog/api/posts/${post.dataset.id}`;
  one(".delete-post", post)?.addEventListener("click", async () => {
    if (!(await ask(say("delete_post"), say("delete_post_hint")))) return;
    await attempt(async () => {
      await call("DELETE", path);
      toast(say("post_deleted"));
      await visit("/blog/", { replace: true });
    });
  });
  one(".comments").addEventListener("click", async (event) => {
    const comment = event.target.closest(".delete-comment")?.closest(".comment");
    if (!comment || !(await ask(say("delete_comment"), say("cannot_undo")))) return;
    await attempt(async () => {
      await call("DELETE", `${path}/comments/${comment.dataset.id}`);
      comment.remove();
      count(-1);
      if (one("#comments .n").textContent === "0") {
        one(".thread").replaceWith(make("p", { class: "none" }, say("comments_none")));
      }
      toast(say("comment_deleted"));
      one("#comment").focus();
    });
  });
  const form = one(".comment-form");
  let key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = one("button[type=submit]", form);
    if (button.disabled) return;
    button.disabled = true;
    await attempt(async () => {
      const content = form.elements.content.value;
      const { body } = await call("POST", `${path}/comments`, { content }, { "idempotency-key": key });
      key = crypto.getRandomValues(new Uint32Array(4)).join("-");
      form.reset();
      addComment(body);
      count(1);
      toast(say("comment_added"));
    });
    button.disabled = false;
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

function count(change) {
  const number = one("#comments .n");
  number.textContent = (Number(number.textContent.replaceAll(",", "")) + change).toLocaleString("en");
}

function addComment(comment) {
  one(".comments .none")?.remove();
  let thread = one(".thread");
  if (!thread) {
    thread = make("ol", { class: "thread" });
    one(".comment-form").before(thread);
  }
  const prose = make("div", { class: "prose small" });
  prose.append(...parse(comment.html).body.childNodes);
  thread.append(
    make(
      "li",
      { class: "comment", id: `comment-${comment.id}`, "data-id": comment.id, "data-author": comment.author },
      make(
        "div",
        { class: "by" },
        make("span", { class: "avatar", "aria-hidden": "true" }, [...comment.author][0].toUpperCase()),
        make("span", { class: "author" }, comment.author),
        make("span", { class: "sep", "aria-hidden": "true" }, "·"),
        make("time", { datetime: comment.created_at }, when(comment.created_at)),
        make("button", { class: "button quiet small own delete-comment", type: "button" }, icon("trash"), say("delete")),
      ),
      prose,
    ),
  );
}

// --- drafts
async function showDrafts() {
  const { body } = await call("GET", "/blog/api/drafts");
  const list = one(".drafts");
  if (!list) return;
  list.replaceChildren(...body.map(draftItem));
  one(".drafts-none").hidden = body.length > 0;
  list.hidden = body.length === 0;
}

function draftItem(draft) {
  const item = make(
    "li",
    {},
    make(
      "div",
      {},
      make("h2", {}, make("a", { href: `/blog/write?draft=${draft.id}` }, draft.title || say("no_title"))),
      make("p", {}, [draft.category_name, when(draft.updated_at)].filter(Boolean).join(" · ")),
    ),
    make(
      "button",
      {
        class: "button quiet small",
        type: "button",
        onclick: async () => {
          if (!(await ask(say("delete_draft"), say("cannot_undo")))) return;
          await attempt(async () => {
            await call("DELETE", `/blog/api/drafts/${draft.id}`);
            toast(say("draft_deleted"));
            await showDrafts();
          });
        },
      },
      say("delete"),
    ),
  );
  return item;
}

// --- logging in and signing up
function next() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "";
  // A path of ours: nobody is sent elsewhere by a link.
  return /^\/blog\/(?!\/)/.test(wanted) && !wanted.includes("\\") ? wanted : "/blog/";
}

function problemOf(failure) {
  const detail = failure.body?.detail;
  if (failure.status === 401) return say("wrong_login");
  if (detail === "Username already exists") return say("name_taken");
  if (failure.status === 400 || failure.status === 409) return say("email_taken");
  if (failure.status === 422 && Array.isArray(detail)) {
    const fields = detail.map((item) => item.loc?.at(-1));
    for (const field of ["username", "email", "password"]) if (fields.includes(field)) return say(`bad_${field}`);
  }
  return failure.text;
}

function startSigning(form, action) {
  const problem = one(".problem", form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = one("button[type=submit]", form);
    if (button.disabled) return;
    button.disabled = true;
    problem.hidden = true;
    try {
      await action(form.elements);
      await visit(next(), { replace: true });
    } catch (failure) {
      problem.textContent = failure.text === undefined ? say("failed") : problemOf(failure);
      problem.hidden = false;
    }
    button.disabled = false;
  });
  // Where to go afterwards stays known when someone changes between logging in and signing up.
  one(".other a").search = location.search;
  form.elements.username.focus();
}

function startPage() {
  for (const prose of all(".prose")) if (!prose.closest(".editor")) decorate(prose);
  const post = one(".post");
  if (post) startPost(post);
  const login = one("form.login");
  if (login) startSigning(login, ({ username, password }) => logIn(username.value, password.value));
  const joining = one("form.register");
  if (joining) {
    startSigning(joining, ({ username, email, password }) => register(username.value, email.value, password.value));
  }
  // The chosen tab is in sight, however many there are.
  one(".tab[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center", behavior: "instant" });
  showSession();
}

document.addEventListener("page", startPage);
document.addEventListener("session", showSession);
start();
startPage();
