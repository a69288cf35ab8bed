"""Ways out of the sandbox that a cell may try, each with what it gets to see instead.

`FILE`, `FOLDER`, `PORT`, `RUNTIME`, `RUNNER` and `HOST` stand for the canary's path, a writable folder, the port of a
server, where the sandbox's own files lie, and the process that started it.
"""

from __future__ import annotations

_DENIED = r"Requires \w+ access|NotCapable|permission|EPERM|access to .* is denied"
_NO_MODULE = rf"{_DENIED}|not allowed|--no-remote|--no-npm|--cached-only|not found|Unsupported scheme|dynamic import"
_ABSENT = r"is not a function|is not defined|not a constructor|undefined|null"

JAVASCRIPT: dict[str, tuple[str, str]] = {
    # The environment and the machine
    "Deno.env.get": ("return Deno.env.get('PLANTED_SECRET')", _DENIED),
    "Deno.env.toObject": ("return JSON.stringify(Deno.env.toObject())", _DENIED),
    "process.env": ("return process.env.PLANTED_SECRET ?? 'nothing'", rf"nothing|{_DENIED}"),
    "process.env spread": ("return JSON.stringify({...process.env})", rf"\{{\}}|{_DENIED}"),
    "Deno.hostname": ("return Deno.hostname()", _DENIED),
    "Deno.osRelease": ("return Deno.osRelease()", _DENIED),
    "Deno.networkInterfaces": ("return JSON.stringify(Deno.networkInterfaces())", _DENIED),
    "Deno.systemMemoryInfo": ("return JSON.stringify(Deno.systemMemoryInfo())", _DENIED),
    "Deno.loadavg": ("return JSON.stringify(Deno.loadavg())", _DENIED),
    "Deno.uid": ("return Deno.uid()", _DENIED),
    "node:os": ("return (await import('node:os')).userInfo().username", _DENIED),
    "process.report": ("return JSON.stringify(process.report.getReport())", _DENIED),
    # The network
    "fetch": ("return await (await fetch('http://127.0.0.1:PORT/')).text()", _DENIED),
    "Deno.connect": ("return await Deno.connect({hostname: '127.0.0.1', port: PORT})", _DENIED),
    "Deno.connectTls": ("return await Deno.connectTls({hostname: '127.0.0.1', port: PORT})", _DENIED),
    "WebSocket": (
        "return await new Promise((ok, no) => { const s = new WebSocket('ws://127.0.0.1:PORT'); s.onopen = ok; "
        "s.onerror = e => no(new Error('EPERM ' + e.message)) })",
        _DENIED,
    ),
    "EventSource": (
        "return await new Promise((ok, no) => { const s = new EventSource('http://127.0.0.1:PORT'); s.onopen = ok; "
        "s.onerror = e => { s.close(); no(new Error('EPERM ' + e.message)) } })",
        _DENIED,
    ),
    "XMLHttpRequest": ("const x = new XMLHttpRequest(); x.open('GET', 'http://127.0.0.1:PORT/'); x.send()", _ABSENT),
    "node:net": (
        "const net = await import('node:net'); return await new Promise((ok, no) => "
        "net.connect(PORT, '127.0.0.1', ok).on('error', no))",
        _DENIED,
    ),
    "node:http": (
        "const http = await import('node:http'); return await new Promise((ok, no) => "
        "http.get('http://127.0.0.1:PORT/', ok).on('error', no))",
        _DENIED,
    ),
    "node:dns": (
        "const dns = await import('node:dns'); return await new Promise((ok, no) => "
        "dns.lookup('localhost', (error, address) => error ? no(error) : ok(address)))",
        _DENIED,
    ),
    "Deno.resolveDns": ("return await Deno.resolveDns('localhost', 'A')", _DENIED),
    "Deno.listen": ("return Deno.listen({port: 0}).addr.port", _DENIED),
    "Deno.serve": ("return Deno.serve({port: 0}, () => new Response('hi')).addr.port", _DENIED),
    "unix socket": ("return await Deno.connect({transport: 'unix', path: 'FOLDER/socket'})", rf"{_DENIED}|unstable"),
    "node:inspector": ("(await import('node:inspector')).open(0)", _DENIED),
    # Files
    "readTextFile": ("return await Deno.readTextFile('FILE')", _DENIED),
    "readFileSync of the password file": ("return new TextDecoder().decode(Deno.readFileSync('/etc/passwd'))", _DENIED),
    "the runtime's own folder": ("return Deno.readTextFileSync('RUNTIME/package.json')", _DENIED),
    "the runner's source": ("return Deno.readTextFileSync('RUNNER/main.ts')", _DENIED),
    "the main module": ("return await (await fetch(Deno.mainModule)).text()", _DENIED),
    "readDir": ("return [...Deno.readDirSync('FOLDER')].length", _DENIED),
    "stat": ("return Deno.statSync('FILE').size", _DENIED),
    "realPath": ("return Deno.realPathSync('.')", _DENIED),
    "watchFs": ("return Deno.watchFs('FOLDER')", _DENIED),
    "chdir": ("Deno.chdir('/'); return 'moved'", _DENIED),
    "writeTextFile": ("Deno.writeTextFileSync('FOLDER/new', 'x'); return 'written'", _DENIED),
    "overwrite": ("Deno.writeTextFileSync('FILE', 'x'); return 'written'", _DENIED),
    "remove": ("Deno.removeSync('FILE'); return 'gone'", _DENIED),
    "mkdir": ("Deno.mkdirSync('FOLDER/new'); return 'made'", _DENIED),
    "symlink": ("Deno.symlinkSync('/etc/passwd', 'FOLDER/link'); return 'linked'", _DENIED),
    "makeTempFile": ("return Deno.makeTempFileSync({dir: 'FOLDER'})", _DENIED),
    "node:fs": ("return (await import('node:fs')).readFileSync('FILE', 'utf8')", _DENIED),
    "node:fs write": ("(await import('node:fs')).writeFileSync('FOLDER/new', 'x'); return 'written'", _DENIED),
    "getBuiltinModule": ("return process.getBuiltinModule('fs').readFileSync('/etc/passwd', 'utf8')", _DENIED),
    "require": ("return (await import('node:module')).createRequire('file:///x.js')('FILE').secret", _DENIED),
    "node:sqlite": ("return new (await import('node:sqlite')).DatabaseSync('FOLDER/new.db')", _DENIED),
    "sqlite attach": (
        "const db = new (await import('node:sqlite')).DatabaseSync(':memory:'); "
        "db.exec(\"attach 'FOLDER/new.db' as other; create table other.t(x)\"); return 'attached'",
        rf"{_DENIED}|too many attached",
    ),
    "sqlite vacuum": (
        "const db = new (await import('node:sqlite')).DatabaseSync(':memory:'); "
        "db.exec(\"create table t(x); vacuum into 'FOLDER/new.db'\"); return 'copied'",
        rf"{_DENIED}|too many attached",
    ),
    "localStorage": ("localStorage.setItem('a', 'b'); return 'stored'", "Not a directory"),
    "caches": ("return await caches.open('a')", "Failed to create|Not a directory"),
    "Deno.openKv": ("return await Deno.openKv()", _ABSENT),
    # Other processes and native code
    "Deno.Command": (
        "return new Deno.Command('/bin/sh', {args: ['-c', 'touch FOLDER/new']}).outputSync().code",
        _DENIED,
    ),
    "Deno.run": ("return Deno.run({cmd: ['/bin/sh', '-c', 'touch FOLDER/new']})", rf"{_DENIED}|{_ABSENT}"),
    "child_process": ("return (await import('node:child_process')).execSync('touch FOLDER/new')", _DENIED),
    "the deno executable": ("return new Deno.Command(Deno.execPath(), {args: ['eval', '1']}).outputSync()", _DENIED),
    "Deno.dlopen": ("return Deno.dlopen('libc.so.6', {getpid: {parameters: [], result: 'i32'}})", _DENIED),
    "process.dlopen": ("return process.dlopen({exports: {}}, 'FOLDER/x.node')", _DENIED),
    "Deno.kill of the host": ("Deno.kill(HOST, 'SIGUSR1'); return 'sent'", _DENIED),
    "Deno.kill of the parent": ("Deno.kill(Deno.ppid, 'SIGUSR1'); return 'sent'", _DENIED),
    "process.kill of the host": ("process.kill(HOST, 'SIGUSR1'); return 'sent'", _DENIED),
    "setuid": ("process.setuid(1); return 'set'", _DENIED),
    # Modules
    "import npm:": ("return await import('npm:is-odd')", _NO_MODULE),
    "import jsr:": ("return await import('jsr:@std/path')", _NO_MODULE),
    "import http:": ("return await import('http://127.0.0.1:PORT/x.js')", _NO_MODULE),
    "import https:": ("return await import('https://127.0.0.1:PORT/x.js')", _NO_MODULE),
    "import file:": ("return (await import('file://FILE', {with: {type: 'json'}})).default.secret", _DENIED),
    "import as text": ("return (await import('file://FILE', {with: {type: 'text'}})).default", _DENIED),
    "data: importing http:": (
        "return await import('data:text/javascript,import \"http://127.0.0.1:PORT/x.js\"')",
        _NO_MODULE,
    ),
    "data: importing npm:": ("return await import('data:text/javascript,import \"npm:is-odd\"')", _NO_MODULE),
    "data: importing file:": (
        'return (await import(\'data:text/javascript,import x from "file://FILE" with {type: "json"}; '
        "export default x')).default.secret",
        _DENIED,
    ),
    "blob: importing http:": (
        "return await import(URL.createObjectURL(new Blob(['import \"http://127.0.0.1:PORT/x.js\"'], "
        "{type: 'text/javascript'})))",
        _NO_MODULE,
    ),
    # What else there is to talk with
    "BroadcastChannel": ("new BroadcastChannel('x').postMessage('SECRET?'); return 'said to nobody'", "said to nobody"),
    "navigator": ("return navigator.userAgent", "Deno"),
    "alert": ("alert('x'); return confirm('?')", "False"),
    # Rights
    "permissions.request": ("return (await Deno.permissions.request({name: 'read'})).state", "denied"),
    "permissions.query": ("return (await Deno.permissions.query({name: 'net'})).state", "denied"),
    "core ops": ("return Deno[Deno.internal].core.ops.op_fs_read_file_text_sync('FILE')", rf"{_DENIED}|{_ABSENT}"),
    "core file": ("return Deno[Deno.internal].core.ops.op_fs_open_sync('FILE')", rf"{_DENIED}|{_ABSENT}"),
    "core resources": ("return JSON.stringify(Deno[Deno.internal].core.resources())", r"stdin"),
    "process.binding": ("return process.binding('fs').open('FILE', 0, 0o666)", rf"{_DENIED}|{_ABSENT}|argument"),
    "V8 flags": (
        "const v8 = await import('node:v8'); for (const flag of ['--perf-basic-prof', '--logfile=FOLDER/log', "
        "'--log-all']) v8.setFlagsFromString(flag); return eval('(function f() { return 1 })()')",
        r"1",
    ),
}

_WORKER = (
    "return await new Promise((ok, no) => {{ const code = 'data:text/javascript,' + encodeURIComponent({code!r}); "
    "const w = new Worker(code, {options}); w.onmessage = e => {{ w.terminate(); ok(e.data) }}; "
    "w.onerror = e => {{ e.preventDefault(); no(new Error(e.message)) }} }})"
)
_TELL = "(async () => { %s })().then((found) => self.postMessage(String(found)), (e) => self.postMessage(String(e)))"
_ELEVATED = "{type: 'module', deno: {permissions: {read: true, net: true, env: true}}}"


def _worker(body: str, options: str = "{type: 'module'}") -> str:
    return _WORKER.format(code=_TELL % body, options=options)


WORKERS: dict[str, tuple[str, str]] = {
    "worker reading a file": (_worker("return Deno.readTextFileSync('FILE')"), _DENIED),
    "worker reading the environment": (_worker("return Deno.env.get('PLANTED_SECRET')"), _DENIED),
    "worker fetching": (_worker("return (await fetch('http://127.0.0.1:PORT/')).text()"), _DENIED),
    "worker importing npm:": (_worker("return await import('npm:is-odd')"), _NO_MODULE),
    "worker importing https:": (_worker("return await import('https://127.0.0.1:PORT/x.js')"), _NO_MODULE),
    "worker with more rights": (_worker("return Deno.readTextFileSync('FILE')", _ELEVATED), "had to be restarted"),
    "worker from a file": (
        "return await new Promise((ok, no) => { const w = new Worker('file://FILE', {type: 'module'}); "
        "w.onmessage = ok; w.onerror = e => { e.preventDefault(); no(new Error(e.message)) } })",
        _DENIED,
    ),
}

PYTHON: dict[str, tuple[str, str]] = {
    "os.environ": ("import os; print(os.environ.get('PLANTED_SECRET'))", "None"),
    "open": ("print(open('FILE').read())", "FileNotFoundError"),
    "open of the password file": ("print(open('/etc/passwd').read())", "FileNotFoundError|web_user"),
    "pathlib": ("import pathlib; print(pathlib.Path('RUNNER/main.ts').read_text())", "FileNotFoundError"),
    "listdir": ("import os; print(os.listdir('FOLDER'))", "FileNotFoundError"),
    "subprocess": ("import subprocess; subprocess.run(['touch', 'FOLDER/new'])", "Error"),
    "os.system": ("import os; print(os.system('touch FOLDER/new'))", "had to be restarted"),
    "os.fork": ("import os; os.fork()", "Error"),
    "socket": ("import socket; socket.create_connection(('127.0.0.1', PORT), 1).send(b'x')", "Error|error"),
    "urllib": ("import urllib.request; urllib.request.urlopen('http://127.0.0.1:PORT/', timeout=1)", "Error|error"),
    "pyodide.http": ("from pyodide.http import pyfetch\nawait pyfetch('http://127.0.0.1:PORT/')", "Error|Requires net"),
    "pyodide.http.open_url": (
        "from pyodide.http import open_url\nopen_url('http://127.0.0.1:PORT/')",
        "Error|not defined",
    ),
    "ctypes": ("import ctypes; print(ctypes.CDLL(None).getpid())", r"Error|\d+"),
    "ctypes library": ("import ctypes; ctypes.CDLL('libc.so.6')", "Error"),
    "os.kill": ("import os, signal; os.kill(HOST, signal.SIGUSR1)", r"Error|^$"),
    "threads": ("import threading; threading.Thread(target=print).start()", "Error"),
    "multiprocessing": ("import multiprocessing; multiprocessing.Process(target=print).start()", "Error"),
    "micropip": ("import micropip", "ModuleNotFoundError"),
    "loadPackage": ("import pyodide_js; await pyodide_js.loadPackage('numpy')", "Error|error|Failed|^$"),
    "mountNodeFS": ("import pyodide_js; pyodide_js.mountNodeFS('/host', '/')", "Error|error|Requires"),
    "NODEFS": (
        "from pyodide_js import FS\nfrom js import Object\nFS.mkdir('/host')\n"
        "FS.mount(FS.filesystems.NODEFS, Object.fromEntries([['root', '/']]), '/host')\n"
        "print(open('/host/etc/passwd').read())",
        "Error|error|Requires",
    ),
}

ENDINGS: dict[str, str] = {
    "Deno.exit": "Deno.exit(0)",
    "process.exit": "process.exit(0)",
    "process.reallyExit": "process.reallyExit(0)",
    "process.abort": "process.abort()",
    "op_exit": "Deno[Deno.internal].core.ops.op_exit(0)",
    "close of stdout": "Deno.stdout.close(); await new Promise(() => {})",
    "a loop": "while (true) {}",
    "an error nobody handles": "await new Promise(() => reportError(new Error('x')))",
    "a worker that fails": "new Worker('data:text/javascript,throw 1', {type: 'module'}); await new Promise(() => {})",
    "the killing of itself": "Deno.kill(Deno.pid, 'SIGTERM'); await new Promise(() => {})",
    "reads of stdin": "while (Deno.stdin.readSync(new Uint8Array(1)) !== null);",
    "recursion": "function f() { f() } while (true) try { f() } catch {}",
}

TAMPERING: dict[str, str] = {
    "postMessage": "Worker.prototype.postMessage = MessagePort.prototype.postMessage = () => {}",
    "Promise": "Promise.prototype.then = () => {}; globalThis.Promise = class {}",
    "JSON": "JSON.stringify = JSON.parse = () => '{}'",
    "Atomics": "Atomics.wait = () => 'ok'; Atomics.store = () => 0; Atomics.load = () => 1",
    "Uint8Array": "Uint8Array.prototype.set = Uint8Array.prototype.subarray = () => new Uint8Array(0)",
    "DataView": "DataView.prototype.setBigUint64 = DataView.prototype.setUint32 = () => {}",
    "writeSync": "Deno.stdout.writeSync = () => 1; Deno.stdout = null",
    "TextEncoder": "TextEncoder.prototype.encode = () => new Uint8Array(10)",
    "Map": "Map.prototype.get = Map.prototype.set = () => undefined",
    "Object": "Object.prototype.kind = 5; Object.prototype.id = 0; Object.prototype.then = 1",
    "Array": "Array.prototype.push = Array.prototype.join = () => ''",
    "Date": "Date.now = () => { throw 1 }; performance.now = Date.now",
    "Deno": "globalThis.Deno = undefined",
    "events": "globalThis.addEventListener = globalThis.dispatchEvent = () => {}; globalThis.onmessage = () => {}",
}
