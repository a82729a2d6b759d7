// Small helpers for the page. Text always enters the page through textContent.

export const $ = (id) => document.getElementById(id);

// el makes an element. Properties are set as properties; children are nodes and
// strings, and what is not there is left out.
export function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter(Boolean));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

// paintAvatar shows a user as initials on a colour that is always theirs.
export function paintAvatar(node, user) {
  node.textContent = initials(user.name);
  node.style.setProperty("--hue", hue(user.id));
  return node;
}

export function avatar(user) {
  const node = paintAvatar(el("span", { className: "avatar" }), user);
  node.setAttribute("aria-hidden", "true");
  return node;
}

function initials(name) {
  const words = name.split(" ");
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters.map((word) => [...word][0] ?? "").join("").toUpperCase();
}

function hue(id) {
  let sum = 0;
  for (const char of id) sum = (sum * 31 + char.codePointAt(0)) % 3600;
  return Math.round(sum / 10);
}

// reconcile makes the children of list those that items describe, in order,
// reusing the node of an item that was there before: what has focus keeps it and
// what has not changed does not move.
export function reconcile(list, nodes, items, make, update) {
  const wanted = new Set(items.map((item) => item.key));
  for (const [key, node] of nodes) {
    if (wanted.has(key)) continue;
    node.remove();
    nodes.delete(key);
  }
  let next = list.firstChild;
  for (const item of items) {
    let node = nodes.get(item.key);
    if (!node) {
      node = make(item);
      nodes.set(item.key, node);
    }
    update(node, item);
    if (node === next) next = next.nextSibling;
    else list.insertBefore(node, next);
  }
}

export function plural(count, one, many) {
  return `${count} ${count === 1 ? one : many}`;
}

// listNames joins names as a sentence does: "Ann", "Ann and Ben", "Ann, Ben and 3 others".
export function listNames(names, most = 3) {
  if (names.length <= 1) return names.join("");
  const shown = names.length > most ? names.slice(0, most - 1) : names.slice(0, -1);
  const rest = names.length - shown.length;
  const last = rest === 1 ? names.at(-1) : `${rest} others`;
  return `${shown.join(", ")} and ${last}`;
}
