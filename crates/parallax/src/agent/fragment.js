// The secret of a link stands behind its #, which no browser sends: it goes into a form, and out of the address bar.
const go = () => {
  const fragment = location.hash.slice(1);
  if (!fragment) return;
  history.replaceState(null, "", location.pathname);
  document.getElementById("link").value = fragment;
  document.getElementById("opened").submit();
};
addEventListener("hashchange", go);
go();
