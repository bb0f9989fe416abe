// What a text gains where there are scripts: code blocks say their language and can be copied.
import { say } from "./messages.js";
import { make, toast } from "./ui.js";

export function decorate(container) {
  for (const block of container.querySelectorAll("pre.md-code")) {
    const language = block.dataset.language;
    const bar = make("div", { class: "code-bar" }, language ? make("span", { "aria-hidden": "true" }, language) : null);
    if (navigator.clipboard) {
      const copy = async () => {
        await navigator.clipboard.writeText(block.innerText.replace(/\n$/, ""));
        toast(say("copied"));
      };
      bar.append(make("button", { type: "button", onclick: copy }, say("copy")));
    }
    const box = make("div", { class: "code-box" });
    block.replaceWith(box);
    box.append(block, bar);
  }
}
