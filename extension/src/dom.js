/** Building pages: elements with their properties and children. Text is always text, never markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. `on*` are listeners, `class`, `aria-*`, `data-*`, `for`, `role` are attributes, the rest are properties;
 * what is null or undefined is left out. Children are elements, texts, or lists of these.
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "role") element[name] = value;
    else element.setAttribute(name === "class" ? "class" : name, value);
  }
  element.append(...given(children));
  return element;
}

/** Put other children in the place of all that an element has. */
export function fillWith(element, ...children) {
  element.replaceChildren(...given(children));
}

/**
 * The same for what is drawn again and again: what has not changed stays where it is, so that nothing flickers and a
 * click that has begun finds its button. What stays keeps its first listeners: they must ask for what changes.
 */
export function renew(element, ...children) {
  const present = [...element.childNodes], wanted = given(children).map((child) => (child instanceof Node ? child : document.createTextNode(child)));
  wanted.forEach((child, at) => {
    const old = present[at];
    if (!old) element.append(child);
    else if (old.isEqualNode(child)) return;
    else if (old.nodeType === Node.ELEMENT_NODE && old.cloneNode().isEqualNode(child.cloneNode())) renew(old, ...child.childNodes);
    else old.replaceWith(child);
  });
  present.slice(wanted.length).forEach((old) => old.remove());
}

const given = (children) => children.flat(3).filter((child) => child !== null && child !== undefined && child !== false);

/** A pill with a dot: how something is, in a colour and a word. */
export const pill = (word, colour) => h("span", { class: `pill ${colour}` }, word);

/** A box that says something; `alert` is read aloud at once. */
export function note(kind, ...content) {
  return h("div", { class: `note ${kind}`, role: kind === "red" ? "alert" : "status" }, ...content);
}

const ICONS = {
  gear: "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6Zm8.5 3c0-.6 0-1-.1-1.5l1.9-1.5-2-3.4-2.3.9a8 8 0 0 0-2.6-1.5L15 2.6h-4l-.4 2.4A8 8 0 0 0 8 6.5l-2.3-.9-2 3.4 1.9 1.5a8 8 0 0 0 0 3l-1.9 1.5 2 3.4 2.3-.9a8 8 0 0 0 2.6 1.5l.4 2.4h4l.4-2.4a8 8 0 0 0 2.6-1.5l2.3.9 2-3.4-1.9-1.5c.1-.5.1-.9.1-1.5Z",
  expand: "M14 4h6v6M20 4l-8 8M10 5H6a2 2 0 0 0-2 2v11a2 2 0 0 0 2 2h11a2 2 0 0 0 2-2v-4",
  pause: "M8 5v14M16 5v14",
  play: "M7 4.5v15l12-7.5z",
  stop: "M6 6l12 12M18 6 6 18",
  send: "M21 3 3 10.2l7 3.3 3.3 7zM21 3 10 13.5",
  inbox: "M4 13h4l2 3h4l2-3h4M4 13l3-8h10l3 8v6H4z",
  left: "M14.5 5 8 12l6.5 7",
  right: "M9.5 5 16 12l-6.5 7",
  check: "M5 13l4.5 4.5L19 7.5",
  file: "M13 3H6v18h12V8zM13 3v5h5",
};

/** A small picture beside a word; nobody needs to hear of it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A labelled input; `hint` stands under it, and so will what is wrong with it (`field.complain`). */
export function field(label, input, hint = "") {
  const id = input.id || `f-${label.toLowerCase().replace(/\W+/g, "-")}`;
  input.id = id;
  input.setAttribute("aria-describedby", `${id}-hint ${id}-wrong`);
  const wrong = h("p", { class: "wrong", id: `${id}-wrong`, role: "alert" });
  const element = h("div", { class: "field" }, h("label", { for: id }, label), input, h("p", { class: "hint", id: `${id}-hint` }, hint), wrong);
  return {
    element,
    input,
    complain(message) {
      wrong.textContent = message;
      input.setAttribute("aria-invalid", message ? "true" : "false");
      if (message) input.focus();
    },
  };
}

/** While something is under way its button says so and takes no second click. */
export async function busy(button, work) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  try {
    await work();
  } finally {
    button.removeAttribute("aria-busy");
    button.disabled = false;
  }
}
