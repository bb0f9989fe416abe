// Small tools: elements, toasts, questions.
import { say } from "./messages.js";

// Elements are made, never parsed from text, so nothing that a user typed can become markup.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// HTML that the server rendered and cleaned: a page of ours, a comment, a preview.
export function parse(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

export function icon(name) {
  const found = document.querySelector(`svg.icon-${name}`);
  return found ? found.cloneNode(true) : "";
}

export function toast(text, bad = false) {
  const element = make("div", { class: bad ? "toast bad" : "toast" }, text);
  const toasts = document.querySelector(".toasts");
  // Said again, not said twice.
  for (const old of [...toasts.children]) if (old.textContent === text) old.remove();
  toasts.append(element);
  setTimeout(() => element.remove(), bad ? 7000 : 3500);
}

// Asks, and resolves to whether the answer was yes.
export function ask(title, text, yes = say("delete"), no = say("cancel"), danger = true) {
  return new Promise((resolve) => {
    const dialog = make(
      "dialog",
      { "aria-labelledby": "ask-title" },
      make("h2", { id: "ask-title" }, title),
      make("p", {}, text),
      make(
        "div",
        { class: "row" },
        make("button", { class: "button quiet no", type: "button", onclick: () => dialog.close() }, no),
        make(
          "button",
          { class: danger ? "button danger yes" : "button primary yes", type: "button", onclick: () => dialog.close("yes") },
          yes,
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
