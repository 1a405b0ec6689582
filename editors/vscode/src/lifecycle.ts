/** Starts and stops the server as the settings say. One thing at a time: what is asked for meanwhile waits for its turn. */

import { mkdir } from "node:fs/promises";
import * as vscode from "vscode";

import { Session } from "./client.ts";
import { offerInstallation } from "./install.ts";
import { locate } from "./locate.ts";
import { setting, userSetting } from "./settings.ts";
import type { StatusBar } from "./statusBar.ts";

/** Settings whose change starts another server, or none. */
const RESTARTING = ["completer.enable", "completer.server.command", "completer.server.interpreter"];

export class Lifecycle implements vscode.Disposable {
  readonly #context: vscode.ExtensionContext;
  readonly #log: vscode.LogOutputChannel;
  readonly #bar: StatusBar;
  readonly #listening: vscode.Disposable;
  #session: Session | undefined;
  #queue: Promise<void> = Promise.resolve();
  #offered = false;

  constructor(context: vscode.ExtensionContext, log: vscode.LogOutputChannel, bar: StatusBar) {
    this.#context = context;
    this.#log = log;
    this.#bar = bar;
    this.#listening = vscode.workspace.onDidChangeConfiguration((event) => {
      if (RESTARTING.some((name) => event.affectsConfiguration(name))) {
        void this.restart();
      }
    });
  }

  dispose(): void {
    this.#listening.dispose();
  }

  /** The running server, where there is one. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Stop what runs and start what the settings name. Never throws: the status bar and the log say what went wrong. */
  restart(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#stop();
      if (setting<boolean>("enable")) {
        await this.#start();
      } else {
        this.#bar.show("off");
      }
    });
  }

  stop(): Promise<void> {
    return this.#inTurn(() => this.#stop());
  }

  async #start(): Promise<void> {
    const storage = this.#context.globalStorageUri.fsPath;
    const command = await locate({
      command: userSetting<string[]>("server.command"),
      interpreter: userSetting<string>("server.interpreter"),
      storage,
      path: process.env["PATH"] ?? "",
      windows: process.platform === "win32",
    });
    if (command === undefined) {
      this.#bar.show("missing");
      this.#offerOnce();
      return;
    }
    this.#log.info(`starting ${command.join(" ")}`);
    await mkdir(storage, { recursive: true });
    const session = new Session(this.#context.extension, command, storage, this.#log, (state, status) => {
      if (this.#session === session) {
        this.#bar.show(state, status);
      }
    });
    this.#session = session;
    await session.start();
  }

  async #stop(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.stop().catch((error: unknown) => this.#log.warn(`the server did not stop: ${String(error)}`));
  }

  #offerOnce(): void {
    if (!this.#offered) {
      this.#offered = true;
      void offerInstallation(this.#context, this.#log, () => this.restart());
    }
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(work).catch((error: unknown) => {
      this.#log.error(String(error));
      this.#bar.show("error");
    });
    return this.#queue;
  }
}
