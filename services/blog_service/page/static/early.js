// Runs before the first paint, so that neither theme nor buttons flicker. The session is only a hint for what to show:
// rights come from the access token, which stays in memory.
{
  const root = document.documentElement;
  let theme = null;
  let user = null;
  try {
    theme = localStorage.getItem("titanium.theme");
    user = localStorage.getItem("titanium.user");
  } catch {
    // Storage is switched off: the system's theme, and nobody logged in.
  }
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  root.dataset.session = user ? "in" : "out";
}
