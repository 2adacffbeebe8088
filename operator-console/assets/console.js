// Comfort only: every page and form works without this file. It asks before a vote
// is signed, asks for a comment where one is needed, keeps a form from being sent
// twice, and looks again while something is under way.
"use strict";

// A return or a rejection needs a comment; say so before the form travels.
for (const form of document.querySelectorAll("form.vote")) {
  const comment = form.elements.namedItem("comment");
  const adjust = () => {
    const chosen = form.querySelector("input[name=decision]:checked");
    comment.required = chosen !== null && chosen.value !== "approve";
  };
  form.addEventListener("change", adjust);
  adjust();
}

for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    const question = form.dataset.confirm;
    if (form.dataset.sent || (question && !window.confirm(question))) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
  });
}

// Coming back with the browser's back button, a form may be sent again.
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// Links into a closed part open it.
const open = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
};
window.addEventListener("hashchange", open);
open();

// Look again, but never under somebody's hands: only while the page is visible and
// nobody reads an opened part, marks text or works with the keyboard. The server
// does not count `?poll` as somebody at work, so an unattended page still signs out.
const seconds = Number(document.body.dataset.poll);
if (seconds > 0) {
  if (location.search === "?poll") history.replaceState(null, "", location.pathname);
  setInterval(() => {
    const busy =
      document.hidden ||
      document.querySelector("main details[open]") !== null ||
      document.querySelector("main :focus") !== null ||
      !document.getSelection().isCollapsed;
    if (!busy) location.replace(location.pathname + "?poll");
  }, seconds * 1000);
}
