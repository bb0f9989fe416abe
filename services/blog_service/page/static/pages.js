// Moving between pages without reloading, so that the access token stays in memory. Every address also works by itself.
import { parse } from "./ui.js";

let guard = null;
let current = 0;

// A page with unsaved work sets a guard: asked before leaving, it resolves to whether to go.
export function guardLeaving(ask) {
  guard = ask;
}

export async function visit(address, { replace = false, restore = null, force = false } = {}) {
  const url = new URL(address, location.href);
  if (guard && !force && !(await guard())) return false;
  guard = null;
  const number = ++current;
  const progress = document.createElement("div");
  progress.className = "progress";
  const delayed = setTimeout(() => document.body.append(progress), 150);
  let page;
  try {
    const response = await fetch(url, { headers: { accept: "text/html" } });
    if (!response.headers.get("content-type")?.startsWith("text/html")) throw new Error("not a page");
    page = parse(await response.text());
    if (!page.querySelector("main")) throw new Error("not a page of ours");
  } catch {
    location.assign(url);
    return true;
  } finally {
    clearTimeout(delayed);
    progress.remove();
  }
  if (number !== current) return false; // another page was asked for meanwhile
  if (restore === null) {
    history.replaceState({ ...history.state, scroll: scrollY }, "");
    history[replace ? "replaceState" : "pushState"]({}, "", url);
  }
  const show = () => {
    document.title = page.title;
    document.body.dataset.page = page.body.dataset.page;
    document.querySelector("main").replaceWith(page.querySelector("main"));
    document.querySelector(".search input").value = page.querySelector(".search input").value;
    document.dispatchEvent(new CustomEvent("page"));
    const target = url.hash ? document.getElementById(decodeURIComponent(url.hash.slice(1))) : null;
    if (target) target.scrollIntoView();
    else scrollTo({ top: restore ?? 0, behavior: "instant" });
    // Where a new page would begin to be read.
    if (!document.querySelector("main :focus")) document.querySelector("main").focus({ preventScroll: true });
  };
  if (document.startViewTransition && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
    await document.startViewTransition(show).updateCallbackDone;
  } else {
    show();
  }
  return true;
}

function ours(url) {
  return (
    url.origin === location.origin &&
    (url.pathname === "/" || url.pathname.startsWith("/blog/")) &&
    !url.pathname.startsWith("/blog/api/") &&
    !url.pathname.startsWith("/blog/static/") &&
    !url.searchParams.has("lang")
  );
}

export function start() {
  history.scrollRestoration = "manual";
  if (history.state?.scroll) scrollTo({ top: history.state.scroll, behavior: "instant" });
  addEventListener("pagehide", () => history.replaceState({ ...history.state, scroll: scrollY }, ""));

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) {
      return;
    }
    const url = new URL(link.href);
    if (!ours(url) || link.target) return;
    if (url.hash && url.pathname === location.pathname && url.search === location.search) return;
    event.preventDefault();
    visit(url);
  });

  document.addEventListener("submit", (event) => {
    if (!event.target.matches(".search")) return;
    event.preventDefault();
    const words = new FormData(event.target).get("q").trim();
    const category = new URLSearchParams(location.search).get("category");
    const query = new URLSearchParams();
    if (category && location.pathname === "/blog/") query.set("category", category);
    if (words) query.set("q", words);
    visit(`/blog/${query.size ? `?${query}` : ""}`);
  });

  let shown = location.href.split("#")[0];
  document.addEventListener("page", () => {
    shown = location.href.split("#")[0];
  });
  addEventListener("popstate", async (event) => {
    if (location.href.split("#")[0] === shown) return; // only the place on the page changed
    const address = location.href;
    const before = shown;
    if (!(await visit(address, { restore: event.state?.scroll ?? 0 }))) {
      if (guard) history.pushState({}, "", before);
    }
  });
}
