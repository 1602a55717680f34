"use strict";
(() => {
  const panel = document.getElementById("panel");
  const main = document.querySelector("main");
  const arcs = document.querySelector("svg");
  const nodes = [...document.querySelectorAll("li")];
  const empty = [...panel.childNodes];
  let shown = null;
  let pinned = false;

  // An operand names its node; who uses a node is found from that.
  const node = (link) => document.getElementById(link.hash.slice(1));
  const operands = new Map(nodes.map((li) => [li, [...li.querySelectorAll(".args a")].map(node)]));
  const users = new Map(nodes.map((li) => [li, []]));
  for (const li of nodes) {
    for (const operand of new Set(operands.get(li))) users.get(operand).push(li);
  }

  // A node in a closed group stands where its group does.
  const height = (li) => {
    const group = li.closest("details");
    const place = group.open ? li : group.querySelector("summary");
    const { top, bottom } = place.getBoundingClientRect();
    return (top + bottom) / 2 - main.getBoundingClientRect().top;
  };
  const arc = (from, to, kind) => {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const [a, b] = [height(from), height(to)];
    const left = 40 - Math.min(36, 8 + Math.abs(a - b) / 6);
    path.setAttribute("d", `M 43 ${a} C ${left} ${a}, ${left} ${b}, 43 ${b}`);
    path.setAttribute("class", kind);
    arcs.append(path);
  };
  const draw = () => {
    arcs.replaceChildren();
    if (!shown) return;
    for (const operand of new Set(operands.get(shown))) arc(operand, shown, "to-operand");
    for (const user of users.get(shown)) arc(shown, user, "to-user");
  };

  const show = (li) => {
    if (shown === li) return;
    for (const other of nodes) other.classList.remove("shown", "operand", "user");
    shown = li;
    panel.replaceChildren(...(li ? [li.querySelector("template").content.cloneNode(true)] : empty));
    if (li) {
      li.classList.add("shown");
      for (const operand of operands.get(li)) operand.classList.add("operand");
      for (const user of users.get(li)) user.classList.add("user");
      const links = users.get(li).flatMap((user) => {
        const link = document.createElement("a");
        link.href = "#" + user.id;
        link.textContent = user.id;
        return [link, " "];
      });
      const [title, list] = [document.createElement("dt"), document.createElement("dd")];
      title.textContent = "used by";
      list.append(...(links.length ? links : ["nothing"]));
      panel.querySelector("dl").append(title, list);
    }
    draw();
  };
  const jump = (li) => {
    li.closest("details").open = true;
    li.classList.remove("hidden");
    li.closest("details").classList.remove("hidden");
    pinned = true;
    li.focus({ preventScroll: true });
    li.scrollIntoView({ block: "nearest" });
    show(li);
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    const li = event.target.closest("li");
    if (link) {
      event.preventDefault();
      history.replaceState(null, "", link.hash);
      jump(node(link));
    } else if (li) {
      pinned = !(pinned && shown === li);
      show(li);
    }
  });
  main.addEventListener("mouseover", (event) => {
    const li = event.target.closest("li");
    if (li && !pinned) show(li);
  });
  main.addEventListener("focusin", (event) => {
    const li = event.target.closest("li");
    if (li) show(li);
  });
  main.addEventListener("toggle", draw, true);
  window.addEventListener("resize", draw);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      pinned = false;
      show(null);
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const li = document.activeElement.closest("li");
    if (!step || !li) return;
    const visible = nodes.filter((other) => other.offsetParent);
    const next = visible[visible.indexOf(li) + step];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  });

  const groups = [...document.querySelectorAll("details")];
  document.getElementById("open").onclick = () => groups.forEach((group) => (group.open = true));
  document.getElementById("close").onclick = () => groups.forEach((group) => (group.open = false));
  document.getElementById("search").oninput = (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    for (const group of groups) {
      const line = group.querySelector("summary").textContent.toLowerCase().includes(wanted);
      let any = false;
      for (const li of group.querySelectorAll("li")) {
        const fits = line || li.textContent.toLowerCase().includes(wanted);
        li.classList.toggle("hidden", !fits);
        any ||= fits;
      }
      group.classList.toggle("hidden", !any);
    }
    draw();
  };

  document.documentElement.dataset.nodes = nodes.length;
  const first = location.hash && document.getElementById(location.hash.slice(1));
  if (first && operands.has(first)) jump(first);
})();
