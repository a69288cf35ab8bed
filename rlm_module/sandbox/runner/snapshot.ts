// Boots Pyodide once, loads the sandbox's Python side into it, and writes the memory image to stdout.

const [runtime, ...files] = Deno.args; // files: place beside the standard library, path of the source, place, path, ...
const { loadPyodide } = await import(`file://${runtime}/pyodide.mjs`);
const python = await loadPyodide({ indexURL: `${runtime}/`, _makeSnapshot: true });

const site = python.runPython("import site; site.getsitepackages()[0]");
const write = (place: string, text: string | Uint8Array) => {
  python.FS.mkdirTree(`${site}/${place.slice(0, place.lastIndexOf("/"))}`);
  python.FS.writeFile(`${site}/${place}`, text);
};
for (const folder of ["rlm_module", "rlm_module/sandbox"]) write(`${folder}/__init__.py`, "");
for (let i = 0; i < files.length; i += 2) write(files[i], Deno.readFileSync(files[i + 1]));
python.runPython(`
import importlib
importlib.invalidate_caches()
import rlm_module.sandbox.guest.prelude, rlm_module.sandbox.guest.typed
# What generated code uses most; importing it here costs a session nothing.
import bisect, calendar, collections, copy, csv, datetime, decimal, difflib, fractions, functools, heapq, html, io
import itertools, json, math, operator, pprint, random, re, statistics, string, textwrap, typing, unicodedata, uuid
import concurrent.futures
`);
const image: Uint8Array = python.makeMemorySnapshot();
for (let rest = image; rest.length > 0;) rest = rest.subarray(Deno.stdout.writeSync(rest));
