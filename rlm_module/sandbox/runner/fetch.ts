// Never run: names the runtime, so that Deno fetches it and checks it against deno.lock.
import "pyodide";
