/** The settings: those of the extension itself, and those that go to the server as they are. */

import * as vscode from "vscode";

export const SECTION = "completer";

/** Return the value of one of our settings, as it holds in this window. */
export function setting<T>(name: string): T {
  return vscode.workspace.getConfiguration(SECTION).get(name) as T;
}

/**
 * Return the value of a setting that a workspace must not choose: what the user has set, or the default.
 *
 * VS Code itself takes settings of the scope "machine" from no workspace; other editors that run extensions may not.
 */
export function userSetting<T>(name: string): T {
  const found = vscode.workspace.getConfiguration(SECTION).inspect<T>(name);
  return (found?.globalValue ?? found?.defaultValue) as T;
}

/**
 * Return the server's settings as they are sent to it: those that the user alone may choose beside the others, with the key
 * by which the server knows that this extension started it. null: not set here, so its command line and files count, also
 * the `.completer.toml` of a workspace folder.
 *
 * Made anew for each message, from nothing that a workspace could have merged anything into.
 */
export function serverSettings(extension: vscode.Extension<unknown>, clientKey: string): Record<string, unknown> {
  const section = vscode.workspace.getConfiguration(SECTION);
  const properties = serverProperties(extension);
  const ofUser = properties.filter(({ scope }) => scope === "machine");
  const others = properties.filter(({ scope }) => scope !== "machine");
  return {
    ...Object.fromEntries(others.map(({ name }) => [name, isSet(section, name) ? setting(name) : null])),
    userSettings: Object.fromEntries(ofUser.map(({ name }) => [name, section.inspect(name)?.globalValue ?? null])),
    clientKey,
  };
}

function isSet(section: vscode.WorkspaceConfiguration, name: string): boolean {
  const found = section.inspect(name);
  return [found?.globalValue, found?.workspaceValue, found?.workspaceFolderValue].some((value) => value !== undefined);
}

/** Return those of the server's settings that differ from their defaults. */
export function changedSettings(extension: vscode.Extension<unknown>): Record<string, unknown> {
  const section = vscode.workspace.getConfiguration(SECTION);
  const values = serverProperties(extension).map(({ name, scope }) => ({
    name,
    value: scope === "machine" ? userSetting<unknown>(name) : setting<unknown>(name),
  }));
  const changed = values.filter(({ name, value }) => JSON.stringify(value) !== JSON.stringify(section.inspect(name)?.defaultValue));
  return Object.fromEntries(changed.map(({ name, value }) => [name, value]));
}

/** Return the server's settings. Which they are is written in package.json alone: the section with the id "server". */
function serverProperties(extension: vscode.Extension<unknown>): { readonly name: string; readonly scope: string }[] {
  type Section = { id?: string; properties: Record<string, { scope: string }> };
  const sections = extension.packageJSON.contributes.configuration as Section[];
  const server = sections.find((section) => section.id === "server");
  return Object.entries(server?.properties ?? {}).map(([key, { scope }]) => ({ name: key.slice(SECTION.length + 1), scope }));
}

/** Return the languages that are switched off; a workspace may have put anything there. */
function disabledLanguages(): readonly string[] {
  const languages = setting<unknown>("disabled_languages");
  return Array.isArray(languages) ? languages.filter((id): id is string => typeof id === "string") : [];
}

/** Whether suggestions while typing are switched off in a language. */
export function isOff(languageId: string): boolean {
  return disabledLanguages().includes(languageId);
}

/** Switch suggestions on or off, for the user everywhere or for the workspace alone. */
export async function toggle(target: vscode.ConfigurationTarget): Promise<void> {
  await vscode.workspace.getConfiguration(SECTION).update("enable", !setting<boolean>("enable"), target);
}

/** Switch a language on or off; in the workspace's settings where those name languages, else in the user's. */
export async function toggleLanguage(languageId: string): Promise<void> {
  const section = vscode.workspace.getConfiguration(SECTION);
  const languages = disabledLanguages();
  const inWorkspace = section.inspect("disabled_languages")?.workspaceValue !== undefined;
  const target = inWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
  const without = languages.filter((id) => id !== languageId);
  const wanted = without.length === languages.length ? [...languages, languageId] : without;
  await section.update("disabled_languages", wanted, target);
}
