// Boots Pyodide once, loads the sandbox's Python side into it, and writes the memory image to stdout.

const [runtime, ...modules] = Deno.args; // modules: name, path of its source, name, path, ...
const { loadPyodide } = await import(`file://${runtime}/pyodide.mjs`);
const python = await loadPyodide({ indexURL: `${runtime}/`, _makeSnapshot: true });

const site = python.runPython("import site; site.getsitepackages()[0]");
for (const folder of ["rlm_module", "rlm_module/sandbox"]) {
  python.FS.mkdirTree(`${site}/${folder}`);
  python.FS.writeFile(`${site}/${folder}/__init__.py`, "");
}
for (let i = 0; i < modules.length; i += 2) {
  python.FS.writeFile(`${site}/${modules[i].replaceAll(".", "/")}.py`, Deno.readFileSync(modules[i + 1]));
}
python.runPython(`
import importlib
importlib.invalidate_caches()
import rlm_module.sandbox.prelude, rlm_module.sandbox.typed
# What generated code uses most; importing it here costs a session nothing.
import bisect, calendar, collections, copy, csv, datetime, decimal, difflib, fractions, functools, heapq, html, io
import itertools, json, math, operator, pprint, random, re, statistics, string, textwrap, typing, unicodedata, uuid
import concurrent.futures
`);
const image: Uint8Array = python.makeMemorySnapshot();
for (let rest = image; rest.length > 0;) rest = rest.subarray(Deno.stdout.writeSync(rest));
