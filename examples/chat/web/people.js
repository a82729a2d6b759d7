// Who is online and which rooms there are.
import { $, avatar, el, plural, reconcile } from "./dom.js";

export class PeopleView {
  #rooms = new Map();
  #here = new Map();
  #elsewhere = new Map();

  // show draws the presence: rooms with their unread messages, then the people
  // in the room on show and the others.
  show({ presence, active, me, unread, typing }) {
    const placeOf = new Map(presence.rooms.flatMap((room) => room.members.map((id) => [id, room.name])));
    this.#showRooms(presence, active, unread);

    const room = presence.rooms.find(({ name }) => name === active);
    const inside = new Set(room?.members);
    const items = presence.users.map((user) => ({ key: user.id, user, me: user.id === me.id, typing: typing.has(user.id) }));
    const here = items.filter(({ user }) => inside.has(user.id));
    const elsewhere = items.filter(({ user }) => !inside.has(user.id)).map((item) => ({ ...item, place: placeOf.get(item.user.id) }));
    reconcile($("here"), this.#here, here, makePerson, updatePerson);
    reconcile($("elsewhere"), this.#elsewhere, elsewhere, makePerson, updatePerson);

    $("here-count").textContent = $("people-count").textContent = here.length;
    $("elsewhere-count").textContent = elsewhere.length;
    $("online-total").textContent = `${plural(presence.users.length, "person", "people")} online`;
    $("room-title").textContent = $("welcome-room").textContent = active;
    $("welcome-room").textContent = `#${active}`;
    $("room-topic").textContent = room?.topic ?? "";
    $("text").placeholder = `Message #${active}`;
  }

  #showRooms({ rooms, users }, active, unread) {
    const items = rooms.map((room) => ({
      key: room.name,
      room,
      active: room.name === active,
      unread: unread(room.name),
      users: users.filter(({ id }) => room.members.includes(id)),
    }));
    reconcile($("rooms"), this.#rooms, items, makeRoom, updateRoom);
    $("menu-dot").hidden = !items.some((item) => item.unread > 0);
  }
}

function makeRoom({ room }) {
  const link = el("a", { href: `#${encodeURIComponent(room.name)}` },
    el("span", { className: "name", textContent: room.name }), el("span", { className: "faces" }), el("span", { className: "badge" }));
  link.addEventListener("click", () => $("rooms-panel").matches(":popover-open") && $("rooms-panel").hidePopover());
  return el("li", {}, link);
}

function updateRoom(node, { room, active, unread, users }) {
  const link = node.firstChild;
  const [, faces, badge] = link.children;
  if (active) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
  faces.replaceChildren(...users.slice(0, 3).map(avatar));
  if (users.length > 3) faces.append(el("span", { className: "more", textContent: `+${users.length - 3}` }));
  badge.textContent = unread > 99 ? "99+" : unread || "";
  const parts = [room.name, users.length > 0 && plural(users.length, "person", "people"), unread > 0 && `${unread} unread`];
  link.setAttribute("aria-label", parts.filter(Boolean).join(", "));
}

function makePerson({ user, me }) {
  return el("li", { className: "person" }, avatar(user),
    el("span", { className: "name", textContent: user.name }),
    el("span", { className: "note", textContent: me ? "you" : "" }));
}

function updatePerson(node, { me, place, typing }) {
  node.classList.toggle("is-typing", typing);
  if (!me) node.lastChild.textContent = place ? `#${place}` : "";
}
