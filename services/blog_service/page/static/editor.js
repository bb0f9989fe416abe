// Writing: live preview, formatting, drafts, and text that survives a closed tab.
import { say, when } from "./messages.js";
import { guardLeaving, visit } from "./pages.js";
import { call, user } from "./session.js";
import { ask, parse, toast } from "./ui.js";
import { decorate } from "./prose.js";

const FIELDS = ["title", "category_name", "content"];

export function startEditor(form) {
  const post = Number(form.dataset.post);
  const find = (selector) => form.querySelector(selector);
  const fields = Object.fromEntries(FIELDS.map((name) => [name, form.elements[name]]));
  const state = find(".state");
  const writer = user(); // the text stays theirs when the session ends
  let draft = post ? 0 : Number(new URLSearchParams(location.search).get("draft")) || 0;
  let etag = null;
  let saved = values();
  let busy = false;
  let key = newKey();

  function values() {
    return Object.fromEntries(FIELDS.map((name) => [name, fields[name].value]));
  }
  function same(one, other) {
    return FIELDS.every((name) => one[name] === other[name]);
  }
  function fill(text) {
    for (const name of FIELDS) fields[name].value = text[name] ?? "";
    changed();
  }

  // --- kept in the browser until it is saved
  const place = () => `titanium.unsaved.${writer}.${post ? `post-${post}` : draft ? `draft-${draft}` : "new"}`;
  function keep() {
    try {
      if (same(values(), saved)) localStorage.removeItem(place());
      else {
        localStorage.setItem(place(), JSON.stringify({ ...values(), at: Date.now(), etag }));
        state.textContent = say("kept");
      }
    } catch {
      state.textContent = say("unsaved");
    }
  }
  function kept() {
    try {
      return JSON.parse(localStorage.getItem(place()));
    } catch {
      return null;
    }
  }
  function dropKept() {
    try {
      localStorage.removeItem(place());
    } catch {
      // Nothing was kept.
    }
    state.textContent = "";
  }
  function offerKept() {
    const found = kept();
    if (!found || same(found, saved)) return;
    find(".rescue .when").textContent = when(found.at);
    find(".rescue").hidden = false;
    find(".restore").onclick = () => {
      find(".rescue").hidden = true;
      // Still based on the version it was written on: saving it over a newer one will ask first.
      if (found.etag) etag = found.etag;
      fill(found);
      keep();
      fields.content.focus();
    };
    find(".discard").onclick = () => {
      find(".rescue").hidden = true;
      dropKept();
    };
  }

  // --- preview
  let previewed = "";
  let previewing = null;
  async function preview() {
    const content = fields.content.value;
    if (content === previewed || previewing) return;
    const box = find(".preview .prose");
    if (!content.trim()) {
      previewed = content;
      const hint = document.createElement("p");
      hint.className = "none";
      hint.textContent = say("preview_empty");
      box.replaceChildren(hint);
      return;
    }
    previewing = call("POST", "/blog/api/preview", { content });
    try {
      const { body } = await previewing;
      previewed = content;
      box.replaceChildren(...parse(body.html).body.childNodes);
      decorate(box);
    } catch {
      previewed = content; // tried again with the next change
    } finally {
      previewing = null;
    }
    if (fields.content.value !== previewed) later();
  }
  let timer = 0;
  function later() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (!form.isConnected) return;
      if (find(".rescue").hidden) keep();
      preview();
    }, 350);
  }
  function changed() {
    const length = [...fields.content.value].length;
    const counter = find(".counter");
    counter.textContent = length ? `${length.toLocaleString()} / 20,000` : "";
    counter.classList.toggle("near", length > 19000);
    later();
  }
  form.addEventListener("input", changed);

  // --- formatting
  const tools = {
    bold: (text) => ["**", text, "**"],
    italic: (text) => ["*", text, "*"],
    code: (text) => (text.includes("\n") ? ["```\n", text, "\n```"] : ["`", text, "`"]),
    link: (text) => ["[", text, "](https://)"],
    heading: (text) => ["## ", text, ""],
    quote: (text) => ["", text.replace(/^/gm, "> "), ""],
    list: (text) => ["", text.replace(/^/gm, "- "), ""],
  };
  function format(name) {
    const area = fields.content;
    let { selectionStart: start } = area;
    const { selectionEnd: end } = area;
    if (["heading", "quote", "list"].includes(name)) start = area.value.lastIndexOf("\n", start - 1) + 1;
    const [before, text, after] = tools[name](area.value.slice(start, end));
    area.focus();
    area.setSelectionRange(start, end);
    // The old command is the only way that keeps the browser's undo.
    if (!document.execCommand("insertText", false, before + text + after)) {
      area.setRangeText(before + text + after, start, end, "end");
      changed();
    }
    area.setSelectionRange(start + before.length, start + before.length + text.length);
  }
  find(".tools").addEventListener("click", (event) => {
    const tool = event.target.closest("[data-tool]")?.dataset.tool;
    if (tool) format(tool);
  });
  find(".show-preview").addEventListener("click", (event) => {
    const on = form.classList.toggle("previewing");
    event.currentTarget.setAttribute("aria-pressed", on);
  });
  form.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const tool = { b: "bold", i: "italic", k: "link" }[event.key.toLowerCase()];
    if (tool && event.target === fields.content) format(tool);
    else if (event.key === "Enter") form.requestSubmit();
    else if (event.key.toLowerCase() === "s") (find(".save-draft") ?? find(".publish")).click();
    else return;
    event.preventDefault();
  });

  // --- saving
  async function work(action) {
    if (busy) return;
    busy = true;
    for (const button of form.querySelectorAll(".publish, .save-draft")) button.disabled = true;
    keep();
    try {
      await action();
    } catch (failure) {
      if (failure.status === 412) showConflict(failure);
      else toast(failure.status === 403 ? say("not_author") : failure.status === 404 ? say("gone") : failure.text ?? say("failed"), true);
    } finally {
      busy = false;
      for (const button of form.querySelectorAll(".publish, .save-draft")) button.disabled = false;
    }
  }
  function newKey() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  function precondition() {
    return etag ? { "if-match": etag } : {};
  }
  async function saveDraft() {
    const text = values();
    const answer = draft
      ? await call("PUT", `/blog/api/drafts/${draft}`, text, precondition())
      : await call("POST", "/blog/api/drafts", text);
    dropKept();
    draft = answer.body.id;
    etag = answer.response.headers.get("etag");
    saved = text;
    history.replaceState(history.state, "", `/blog/write?draft=${draft}`);
  }
  async function done(id, message) {
    dropKept();
    saved = values();
    toast(say(message));
    await visit(`/blog/posts/${id}`, { replace: true, force: true });
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    work(async () => {
      const text = values();
      if (post) {
        await call("PATCH", `/blog/api/posts/${post}`, text, precondition());
        await done(post, "saved");
      } else if (draft) {
        if (!same(text, saved)) await saveDraft();
        const { body } = await call("POST", `/blog/api/drafts/${draft}/publish`, undefined, precondition());
        await done(body.id, "published");
      } else {
        // With the same key a repeated attempt can't publish twice, whatever became of the first answer.
        const { body } = await call("POST", "/blog/api/posts", text, { "idempotency-key": key });
        key = newKey();
        await done(body.id, "published");
      }
    });
  });
  find(".save-draft")?.addEventListener("click", () =>
    work(async () => {
      await saveDraft();
      toast(say("draft_saved"));
    }),
  );

  // --- someone (or another tab) saved a newer version
  function showConflict(failure) {
    const box = find(".conflict");
    box.hidden = false;
    box.scrollIntoView({ block: "center" });
    find(".keep-mine").onclick = () => {
      box.hidden = true;
      etag = failure.response.headers.get("etag");
      form.requestSubmit();
    };
    find(".take-theirs").onclick = () => {
      box.hidden = true;
      load();
    };
  }

  async function load() {
    const path = post ? `/blog/api/posts/${post}` : `/blog/api/drafts/${draft}`;
    const { body, response } = await call("GET", path);
    if (post && body.author !== user()) {
      toast(say("not_author"), true);
      await visit(`/blog/posts/${post}`, { replace: true, force: true });
      return;
    }
    etag = response.headers.get("etag");
    saved = { title: body.title, content: body.content, category_name: body.category?.name ?? body.category_name };
    fill(saved);
    saved = values(); // as the fields hold it: line ends may differ
  }

  guardLeaving(async () => {
    if (!form.isConnected || same(values(), saved)) return true;
    keep();
    return !user() || ask(say("unsaved"), say("leave"), say("leave_yes"), say("stay"), false);
  });
  addEventListener("beforeunload", (event) => {
    if (!form.isConnected || same(values(), saved)) return;
    keep();
    event.preventDefault();
  });

  if (post || draft) {
    load().then(offerKept, (failure) => {
      toast(failure.status === 404 ? say("gone") : failure.text ?? say("failed"), true);
      offerKept();
    });
  } else {
    const category = new URLSearchParams(location.search).get("category");
    if (category) fields.category_name.value = category;
    saved = values();
    offerKept();
    fields.title.focus();
  }
  changed();
}
