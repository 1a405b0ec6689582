import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { environmentPython, locate, type Sources } from "../src/locate.ts";

let folder = "";
let sources: Sources;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "locate-"));
  sources = { command: [], interpreter: "", storage: join(folder, "storage"), path: join(folder, "bin"), windows: false };
});

afterEach(() => rm(folder, { recursive: true }));

async function program(path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, "#!/bin/sh\n");
  await chmod(path, 0o755);
  return path;
}

test("without anything there is no command", async () => {
  assert.equal(await locate(sources), undefined);
});

test("a program on the PATH is found", async () => {
  const path = await program(join(folder, "bin/completer"));
  assert.deepEqual(await locate(sources), [path, "lsp"]);
});

test("a file that cannot be run is no program", async () => {
  await chmod(await program(join(folder, "bin/completer")), 0o644);
  assert.equal(await locate(sources), undefined);
});

test("our own installation goes before the PATH, the environment before the program", async () => {
  await program(join(folder, "bin/completer"));
  const own = await program(join(folder, "storage/program/completer"));
  assert.deepEqual(await locate(sources), [own, "lsp"]);
  const python = await program(environmentPython(sources.storage, false));
  assert.deepEqual(await locate(sources), [python, "-I", "-m", "completer", "lsp"]);
});

test("settings go before what is found, the command before the interpreter", async () => {
  await program(join(folder, "bin/completer"));
  const interpreter = { ...sources, interpreter: "/opt/python" };
  assert.deepEqual(await locate(interpreter), ["/opt/python", "-I", "-m", "completer", "lsp"]);
  assert.deepEqual(await locate({ ...interpreter, command: ["/opt/completer", "lsp"] }), ["/opt/completer", "lsp"]);
});

test("a program is never looked up relative to the folder we run in", async () => {
  await program(join(folder, "bin/completer"));
  const before = process.cwd();
  process.chdir(folder);
  try {
    for (const path of ["bin", "./bin", ""]) {
      assert.equal(await locate({ ...sources, path: `${path}:/nowhere` }), undefined);
    }
  } finally {
    process.chdir(before);
  }
});

test("a setting names a program by an absolute path, or by a name that the PATH has", async () => {
  const path = await program(join(folder, "bin/completer"));
  assert.deepEqual(await locate({ ...sources, command: ["completer", "lsp", "--verbose"] }), [path, "lsp", "--verbose"]);
  for (const name of ["bin/completer", "./completer", "../completer", "python", "~/bin/completer"]) {
    await assert.rejects(locate({ ...sources, command: [name, "lsp"] }), /server\.command names .*: write an absolute path/);
    await assert.rejects(locate({ ...sources, interpreter: name }), /server\.interpreter names .*: write an absolute path/);
  }
});

test("on Windows a name is not left to the system, which looks into the current folder first", async () => {
  const windows = { ...sources, windows: true, path: "C:\\nowhere;.;bin" };
  for (const name of ["python", "python.exe", ".venv\\Scripts\\python.exe", "C:python.exe"]) {
    await assert.rejects(locate({ ...windows, interpreter: name }), /write an absolute path/);
  }
  const own = "C:\\tools\\python.exe";
  assert.deepEqual(await locate({ ...windows, interpreter: own }), [own, "-I", "-m", "completer", "lsp"]);
});
