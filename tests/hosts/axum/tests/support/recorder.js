// Runs before the page's own script and records what the page keeps to itself: its sockets, its newest token, the errors
// of its script and the timers it has set. While `seen.offline` is set no socket reaches the host.
(() => {
  const NativeSocket = window.WebSocket;
  const [setNative, clearNative] = [window.setTimeout, window.clearTimeout];
  const timers = new Map();
  const seen = (window.seen = { sockets: 0, offline: false, token: null, errors: [] });

  window.WebSocket = class extends NativeSocket {
    constructor(...args) {
      super(seen.offline ? "/no-socket-here" : args[0], ...args.slice(1));
      seen.sockets += 1;
      this.addEventListener("message", (event) => {
        const token = JSON.parse(event.data).welcome?.token;
        if (token) seen.token = token;
      });
    }
  };

  window.setTimeout = (run, delay, ...args) => {
    const fire = () => {
      timers.delete(id);
      run(...args);
    };
    const id = setNative(fire, delay);
    timers.set(id, fire);
    return id;
  };
  window.clearTimeout = (id) => {
    timers.delete(id);
    clearNative(id);
  };
  // Fires every timer at once, so that a test sees what the page would do later.
  seen.hurry = () => {
    for (const [id, fire] of [...timers]) {
      clearNative(id);
      fire();
    }
  };

  window.addEventListener("error", (event) => seen.errors.push(event.message));
  window.addEventListener("unhandledrejection", (event) => seen.errors.push(String(event.reason)));
})();
