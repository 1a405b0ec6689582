/** One running server: the language client, and what listens to the editor on its behalf. */

import { randomBytes } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import * as vscode from "vscode";
import {
  LanguageClient,
  State as ClientState,
  type ClientCapabilities,
  type LanguageClientOptions,
  type ServerOptions,
  type StaticFeature,
} from "vscode-languageclient/node";

import { GhostText } from "./ghostText.ts";
import { Keys } from "./keys.ts";
import * as protocol from "./protocol.ts";
import { isOff, serverSettings, SECTION } from "./settings.ts";
import type { State } from "./status.ts";

const DOCUMENTS = [{ scheme: "file" }, { scheme: "untitled" }, { scheme: "vscode-notebook-cell" }];
/** Variable of the server's environment by which it knows the settings that are the user's: nobody else knows its value. */
const KEY_VARIABLE = "COMPLETER_CLIENT_KEY";

/** Lets the server send its status as it changes. */
const WANTS_STATUS: StaticFeature = {
  fillClientCapabilities: (capabilities: ClientCapabilities) => {
    const others = (capabilities.experimental ?? {}) as object;
    capabilities.experimental = { ...others, [protocol.STATUS_CAPABILITY]: true };
  },
  initialize: () => undefined,
  getState: () => ({ kind: "static" }),
  clear: () => undefined,
};

/** Called when the server said something new of itself, or its process started or ended. */
export type OnState = (state: State, status?: protocol.Status) => void;

export class Session {
  readonly client: LanguageClient;
  readonly ghostText: GhostText;
  readonly #keys: Keys;
  readonly #clientKey = randomBytes(32).toString("hex");
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
    this.client = new LanguageClient(SECTION, "Completer", options, this.#options(extension, log));
    this.client.onDidChangeState(({ newState }) => {
      if (newState === ClientState.Running) {
        this.#tellFocus();
      } else {
        onState(newState === ClientState.Starting ? "starting" : "error");
      }
    });
    this.client.registerFeature(WANTS_STATUS);
    this.client.onNotification(protocol.DID_CHANGE_STATUS, (status: protocol.Status) => onState(status.state, status));
    this.ghostText = new GhostText(this.client);
    this.#keys = new Keys({
      typed: (document, position) => this.#serves(document) && this.ghostText.askAhead(document, position),
      moved: (document, position) => this.#serves(document) && this.#moved(document, position),
    });
    this.#listening = vscode.window.onDidChangeActiveTextEditor(() => this.client.isRunning() && this.#tellFocus());
  }

  /** Resolves when the server has shaken hands; the model loads after that. Throws when it cannot be started. */
  async start(): Promise<void> {
    await this.client.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
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
    await this.client.sendRequest(protocol.SNOOZE, { minutes });
    await vscode.commands.executeCommand("editor.action.inlineSuggest.hide");
  }

  /** Switch suggestions off in a document, or on again where this switched them off. */
  async toggleFile(document: vscode.TextDocument): Promise<void> {
    const textDocument = { uri: this.client.code2ProtocolConverter.asUri(document.uri) };
    const { reason } = await this.client.sendRequest<protocol.Status>(protocol.STATUS, { textDocument });
    const enabled = reason === protocol.FILE_OFF;
    await this.client.sendRequest(protocol.SET_ENABLED, { enabled, textDocument });
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

  /** The status that the server sends is that of the active document. */
  #tellFocus(): void {
    const document = vscode.window.activeTextEditor?.document;
    const isOurs = document !== undefined && vscode.languages.match(DOCUMENTS, document) > 0;
    const focus = isOurs ? { textDocument: { uri: this.client.code2ProtocolConverter.asUri(document.uri) } } : {};
    void this.client.sendNotification(protocol.DID_FOCUS, focus);
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
          return this.ghostText.provide(document, position, context, token);
        },
        executeCommand: (command, args, next) => {
          if (command === protocol.DID_ACCEPT_COMMAND) {
            this.ghostText.accepted();
          }
          return next(command, args);
        },
        workspace: {
          configuration: ({ items }) => items.map(() => serverSettings(extension, this.#clientKey)),
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
