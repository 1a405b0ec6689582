/** One running server: the language client, and what listens to the editor on its behalf. */

import { randomBytes } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import * as vscode from "vscode";
import { LanguageClient, State as ClientState, type LanguageClientOptions, type ServerOptions } from "vscode-languageclient/node";

import { GhostText } from "./ghostText.ts";
import { Keys } from "./keys.ts";
import * as protocol from "./protocol.ts";
import { isOff, serverSettings, SECTION } from "./settings.ts";
import type { State } from "./status.ts";

const DOCUMENTS = [{ scheme: "file" }, { scheme: "untitled" }, { scheme: "vscode-notebook-cell" }];
const STATUS_EVERY_MS = 3000;
/** Variable of the server's environment by which it knows the settings that are the user's: nobody else knows its value. */
const KEY_VARIABLE = "COMPLETER_CLIENT_KEY";

/** Called when the server said something new of itself, or its process started or ended. */
export type OnState = (state: State, status?: protocol.Status) => void;

export class Session {
  readonly client: LanguageClient;
  readonly ghostText: GhostText;
  readonly #keys: Keys;
  readonly #onState: OnState;
  readonly #clientKey = randomBytes(32).toString("hex");
  #asking: { readonly due: number; readonly timer: NodeJS.Timeout } | undefined;
  #snoozing: NodeJS.Timeout | undefined;
  readonly #listening: vscode.Disposable;
  #stopped = false;

  /** command: its program is an absolute path.  cwd: exists; without it the language client would take the workspace. */
  constructor(
    extension: vscode.Extension<unknown>,
    command: readonly string[],
    cwd: string,
    log: vscode.LogOutputChannel,
    onState: OnState,
  ) {
    const [program = "", ...args] = command;
    const env = { ...process.env, [KEY_VARIABLE]: this.#clientKey };
    const options: ServerOptions = { command: program, args, options: { cwd, env } };
    this.#onState = onState;
    this.client = new LanguageClient(SECTION, "Completer", options, this.#options(extension, log));
    this.client.onDidChangeState(({ newState }) => {
      if (newState === ClientState.Running) {
        this.#askStatus(0);
      } else {
        onState(newState === ClientState.Starting ? "starting" : "error");
      }
    });
    this.ghostText = new GhostText(this.client);
    this.#keys = new Keys({
      typed: (document, position) => this.#serves(document) && this.ghostText.askAhead(document, position),
      moved: (document, position) => this.#serves(document) && this.#moved(document, position),
    });
    this.#listening = vscode.window.onDidChangeActiveTextEditor(() => this.client.isRunning() && this.#askStatus(0));
  }

  /** Resolves when the server has shaken hands; the model loads after that. Throws when it cannot be started. */
  async start(): Promise<void> {
    await this.client.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#asking?.timer);
    clearTimeout(this.#snoozing);
    this.#listening.dispose();
    this.#keys.dispose();
    this.ghostText.dispose();
    await this.client.dispose();
  }

  async traces(): Promise<readonly protocol.Trace[]> {
    const { traces } = await this.client.sendRequest<{ traces: protocol.Trace[] }>(protocol.METRICS);
    return traces;
  }

  async models(): Promise<readonly protocol.Model[]> {
    const { models } = await this.client.sendRequest<{ models: protocol.Model[] }>(protocol.MODELS);
    return models;
  }

  /** Why the last answer for a document is what it is. */
  async explain(document: vscode.TextDocument): Promise<object> {
    const uri = this.client.code2ProtocolConverter.asUri(document.uri);
    return this.client.sendRequest<object>(protocol.EXPLAIN, { textDocument: { uri } });
  }

  /** Keep suggestions away for some minutes; 0 ends that. */
  async snooze(minutes: number): Promise<void> {
    this.#heard(await this.client.sendRequest<protocol.Status>(protocol.SNOOZE, { minutes }));
    this.#askStatus(0); // of the active document
    await vscode.commands.executeCommand("editor.action.inlineSuggest.hide");
  }

  /** Switch suggestions off in a document, or on again where this switched them off. */
  async toggleFile(document: vscode.TextDocument): Promise<void> {
    const textDocument = { uri: this.client.code2ProtocolConverter.asUri(document.uri) };
    const { reason } = await this.client.sendRequest<protocol.Status>(protocol.STATUS, { textDocument });
    const enabled = reason === protocol.FILE_OFF;
    this.#heard(await this.client.sendRequest<protocol.Status>(protocol.SET_ENABLED, { enabled, textDocument }));
    await vscode.commands.executeCommand("editor.action.inlineSuggest.hide");
  }

  #serves(document: vscode.TextDocument): boolean {
    return this.client.isRunning() && vscode.languages.match(DOCUMENTS, document) > 0 && !isOff(document.languageId);
  }

  #moved(document: vscode.TextDocument, position: vscode.Position): void {
    const convert = this.client.code2ProtocolConverter;
    const textDocument = convert.asTextDocumentIdentifier(document);
    void this.client.sendNotification(protocol.DID_MOVE_CURSOR, { textDocument, position: convert.asPosition(position) });
  }

  /** Ask the server how it is, `delayMs` from now unless that is planned for sooner: it is no news at every key. */
  #askStatus(delayMs: number): void {
    const due = Date.now() + delayMs;
    if (this.#stopped || (this.#asking !== undefined && this.#asking.due <= due)) {
      return;
    }
    clearTimeout(this.#asking?.timer);
    const timer = setTimeout(() => {
      this.#asking = undefined;
      void this.client.sendRequest<protocol.Status>(protocol.STATUS, this.#activeDocument()).then(
        (status) => this.#heard(status),
        () => undefined, // it is going down: the state of the client says so
      );
    }, delayMs);
    this.#asking = { due, timer };
  }

  #activeDocument(): object {
    const document = vscode.window.activeTextEditor?.document;
    const isOurs = document !== undefined && vscode.languages.match(DOCUMENTS, document) > 0;
    return isOurs ? { textDocument: { uri: this.client.code2ProtocolConverter.asUri(document.uri) } } : {};
  }

  #heard(status: protocol.Status): void {
    this.#onState(status.state, status);
    clearTimeout(this.#snoozing);
    if (typeof status.snoozed_until === "string" && !this.#stopped) {
      const leftMs = Math.max(0, Date.parse(status.snoozed_until) - Date.now());
      this.#snoozing = setTimeout(() => this.#askStatus(0), leftMs + 1000);
    }
    if (status.state === "loading" || status.state === "downloading") {
      this.#askStatus(STATUS_EVERY_MS);
    }
  }

  #options(extension: vscode.Extension<unknown>, log: vscode.LogOutputChannel): LanguageClientOptions {
    return {
      documentSelector: DOCUMENTS,
      outputChannel: log,
      initializationOptions: () => serverSettings(extension, this.#clientKey),
      middleware: {
        provideInlineCompletionItems: (document, position, context, token) => {
          const automatic = context.triggerKind === vscode.InlineCompletionTriggerKind.Automatic;
          if (automatic && isOff(document.languageId)) {
            return []; // the server would answer the same
          }
          this.#askStatus(STATUS_EVERY_MS);
          return this.ghostText.provide(document, position, context, token);
        },
        executeCommand: (command, args, next) => {
          if (command === protocol.DID_ACCEPT_COMMAND) {
            this.ghostText.accepted();
          }
          return next(command, args);
        },
        handleWorkDoneProgress: (token, params, next) => {
          this.#askStatus(params.kind === "end" ? 0 : STATUS_EVERY_MS / 10);
          next(token, params);
        },
        workspace: {
          configuration: ({ items }) => {
            this.#askStatus(STATUS_EVERY_MS / 10); // they may switch suggestions off
            return items.map(() => serverSettings(extension, this.#clientKey));
          },
          didChangeConfiguration: async (_sections, next) => {
            await setImmediate(); // the same change may stop this server
            if (!this.#stopped) {
              await next(undefined); // the server asks for the settings then
            }
          },
        },
      },
    };
  }
}
