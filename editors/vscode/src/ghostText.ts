/**
 * Ghost text: asks the server, hands its answers to VS Code, and tells the server what became of them.
 *
 * VS Code waits 50 ms after a key before it asks a provider, and to trigger it meanwhile begins that wait anew. So the
 * server is asked at the key itself, and its answer is on the way, or there, when VS Code asks: the two waits overlap.
 */

import * as vscode from "vscode";
import { InlineCompletionRequest, type InlineCompletionItem, type LanguageClient } from "vscode-languageclient/node";

import { samePlace, type Place } from "./asked.ts";
import type { Counts } from "./numbers.ts";
import * as protocol from "./protocol.ts";
import { followAll, type Shown } from "./shown.ts";

/** As the trigger command names our provider, so that it asks no other one. */
const OURS = "completer.completer:*";

/** A request, or what came unasked in place of its answer (`extended`). `used`: VS Code has had the answer. */
interface Asked {
  readonly place: Place;
  readonly answer: Promise<readonly InlineCompletionItem[]>;
  readonly cancel: vscode.CancellationTokenSource;
  readonly extended: boolean;
  used: boolean;
}

export class GhostText implements vscode.Disposable {
  readonly counts: Counts = { shown: 0, accepted: 0, partly: 0, dismissed: 0 };
  readonly #client: LanguageClient;
  readonly #disposables: vscode.Disposable[];
  #asked: Asked | undefined;
  /** What may be on the screen: VS Code does not tell which one the user cycled to. The first one is, until then. */
  #shown: readonly Shown[] = [];

  constructor(client: LanguageClient) {
    this.#client = client;
    this.#disposables = [
      client.onNotification(protocol.DID_EXTEND_SUGGESTION, (more: protocol.ExtendedSuggestion) => this.#extend(more)),
      vscode.workspace.onDidChangeTextDocument((event) => this.#follow(event)),
    ];
  }

  dispose(): void {
    this.#asked?.cancel.cancel();
    vscode.Disposable.from(...this.#disposables).dispose();
  }

  /** Ask for the place behind a key that was just typed. VS Code has not asked yet. */
  askAhead(document: vscode.TextDocument, position: vscode.Position): void {
    const context = { triggerKind: vscode.InlineCompletionTriggerKind.Automatic, selectedCompletionInfo: undefined };
    this.#ask(document, position, context);
  }

  /** Answer VS Code, from the request that went ahead where it fits. */
  async provide(
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
  ): Promise<vscode.InlineCompletionItem[]> {
    const asked = this.#ahead(placeOf(document, position), context) ?? this.#ask(document, position, context);
    asked.used = true;
    const cancelled = token.onCancellationRequested(() => this.#abandon(asked));
    const answer = await asked.answer.finally(() => cancelled.dispose());
    if (answer.length === 0 || token.isCancellationRequested || document.version !== asked.place.version) {
      return [];
    }
    this.#show(document, position, answer);
    return answer.map((item) => this.#client.protocol2CodeConverter.asInlineCompletionItem(item));
  }

  /** The whole suggestion was inserted; the server hears of it by the item's command. */
  accepted(): void {
    this.counts.accepted += 1;
    this.#shown = [];
  }

  /** The user sent the suggestion away. */
  dismissed(): void {
    this.#asked = undefined;
    const [shown] = this.#shown;
    if (shown !== undefined) {
      this.counts.dismissed += 1;
      this.#tell(protocol.DID_DISMISS, shown);
      this.#shown = [];
    }
  }

  #ahead(place: Place, context: vscode.InlineCompletionContext): Asked | undefined {
    const asked = this.#asked;
    if (asked === undefined || !samePlace(asked.place, place) || context.selectedCompletionInfo !== undefined) {
      return undefined;
    }
    const automatic = context.triggerKind === vscode.InlineCompletionTriggerKind.Automatic;
    return !asked.used && (automatic || asked.extended) ? asked : undefined;
  }

  #ask(document: vscode.TextDocument, position: vscode.Position, context: vscode.InlineCompletionContext): Asked {
    const cancel = new vscode.CancellationTokenSource();
    const params = this.#client.code2ProtocolConverter.asInlineCompletionParams(document, position, context);
    const answer = this.#client.sendRequest(InlineCompletionRequest.type, params, cancel.token).then(
      (result) => (Array.isArray(result) ? result : (result?.items ?? [])),
      () => [], // cancelled, or the server is going: nothing to show
    );
    this.#asked = { place: placeOf(document, position), answer, cancel, extended: false, used: false };
    return this.#asked;
  }

  /** VS Code no longer wants the answer. Where a newer request is out, the server knows that already. */
  #abandon(asked: Asked): void {
    if (this.#asked === asked) {
      this.#asked = undefined;
      asked.cancel.cancel();
    }
  }

  /** A longer text stands in place of the answer: let VS Code ask again, and answer it with that. */
  #extend(more: protocol.ExtendedSuggestion): void {
    const editor = vscode.window.activeTextEditor;
    const asked = this.#asked;
    if (editor === undefined || asked === undefined || !editor.selection.isEmpty) {
      return;
    }
    const position = editor.selection.active;
    const uri = this.#client.protocol2CodeConverter.asUri(more.uri).toString();
    const place = { uri, version: more.version, ...more.position };
    if (!samePlace(place, placeOf(editor.document, position)) || !samePlace(place, asked.place)) {
      return;
    }
    const command = { title: "", command: "completer.didAccept", arguments: [more.id] };
    const answer = Promise.resolve([{ insertText: more.text, range: more.range, command }]);
    this.#asked = { place, answer, cancel: asked.cancel, extended: true, used: false };
    void vscode.commands.executeCommand("editor.action.inlineSuggest.trigger", { providerId: OURS });
  }

  #show(document: vscode.TextDocument, position: vscode.Position, items: readonly InlineCompletionItem[]): void {
    const uri = document.uri.toString();
    const offset = document.offsetAt(position);
    this.#shown = items.map((item) => {
      const text = typeof item.insertText === "string" ? item.insertText : item.insertText.value;
      const id = String(item.command?.arguments?.[0] ?? "");
      const nTaken = item.range === undefined ? 0 : position.character - item.range.start.character;
      return { id, uri, text, offset, nTaken };
    });
    this.counts.shown += 1;
    const [first] = this.#shown;
    if (first !== undefined) {
      this.#tell(protocol.DID_SHOW, first);
    }
  }

  #follow(event: vscode.TextDocumentChangeEvent): void {
    if (event.document.uri.toString() !== this.#shown[0]?.uri || event.contentChanges.length === 0) {
      return;
    }
    const changes = event.contentChanges.map((change) => ({
      offset: change.rangeOffset,
      nReplaced: change.rangeLength,
      text: change.text,
    }));
    const { accepted, shown } = followAll(this.#shown, changes);
    this.#shown = shown;
    const [first] = shown;
    // The item's command tells of the whole.
    if (accepted && first !== undefined && first.nTaken < first.text.length) {
      this.counts.partly += 1;
      this.#tell(protocol.DID_ACCEPT, first, { acceptedLength: first.nTaken });
    }
  }

  #tell(method: string, shown: Shown, more: object = {}): void {
    const textDocument = { uri: this.#client.code2ProtocolConverter.asUri(vscode.Uri.parse(shown.uri)) };
    void this.#client.sendNotification(method, { textDocument, id: shown.id, ...more });
  }
}

function placeOf(document: vscode.TextDocument, position: vscode.Position): Place {
  const { line, character } = position;
  return { uri: document.uri.toString(), version: document.version, line, character };
}
