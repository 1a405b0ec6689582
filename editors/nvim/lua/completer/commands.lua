--- `:Completer …`
local client = require("completer.client")
local session = require("completer.session")

local M = {}

local SNOOZE_MIN = 30
local ANSWER_MS = 5000 -- loading a model can keep the server busy for seconds

---@param lines string[]
local function say(lines)
  vim.api.nvim_echo({ { table.concat(lines, "\n") } }, true, {})
end

--- Return our client of the current buffer, or else any; says so where there is none.
---@return vim.lsp.Client?
local function need_client()
  local found = client.of(0) or client.all()[1]
  if not found then
    local why = client.failed and "has ended: see :Completer log, then :Completer restart" or "is not running: open a file"
    vim.notify(client.problem() or "completer: the server " .. why, vim.log.levels.WARN)
  end
  return found
end

--- Ask the server, wait for the answer at most ANSWER_MS. Return nil, and say why, where none comes.
---@param method string
---@param params table?
---@return table?
function M.ask(method, params)
  local asked = need_client()
  if not asked then
    return nil
  end
  local result, problem
  local buf = vim.api.nvim_get_current_buf() -- by its number: for 0 Neovim would not send pending changes first
  client.request(asked, method, params, buf, function(answer, error)
    result, problem = answer, error
  end)
  vim.wait(ANSWER_MS, function()
    return result ~= nil or problem ~= nil
  end, 5)
  if not result then
    local why = problem and problem.message or ("no answer within %d ms"):format(ANSWER_MS)
    vim.notify(("completer: %s: %s"):format(method, why), vim.log.levels.ERROR)
  end
  return result
end

---@param ms any  a number, or null
---@return string
local function milliseconds(ms)
  return type(ms) == "number" and ("%.0f ms"):format(ms) or "–"
end

--- Return why nothing is suggested while typing in the current buffer; "" where suggestions are on.
---@param answered table  by the server: something with a `reason`
---@return string
function M.reason(answered)
  return require("completer.config").reason(0) or answered.reason or ""
end

--- Say in lines what `completer/status` answered.
---@param status table
---@return string[]
function M.status_lines(status)
  local state = (status.kind == "slow" and "slow" or status.state) .. (status.message ~= "" and ": " .. status.message or "")
  local reason = M.reason(status)
  return {
    "completer " .. state,
    ("model %s, engine %s"):format(status.model, status.engine),
    ("latency p50 %s, p95 %s"):format(milliseconds(status.latency_p50_ms), milliseconds(status.latency_p95_ms)),
    "suggestions " .. (reason == "" and "on" or reason),
  }
end

--- Say in lines what happened here, and what the server's traces of recent requests tell.
---@param traces table[]
---@return string[]
function M.stats_lines(traces)
  local counts, n_by, times = session.counts, {}, {}
  for _, trace in ipairs(traces) do
    local by = trace.answered_by or "other"
    n_by[by] = (n_by[by] or 0) + 1
    table.insert(times, trace.total_ms)
  end
  table.sort(times)
  local function percentile(share)
    return milliseconds(times[math.max(1, math.ceil(#times * share))])
  end
  local lines = {
    ("shown %d, accepted %d (%d characters), dismissed %d"):format(
      counts.shown,
      counts.accepted,
      counts.accepted_chars,
      counts.dismissed
    ),
    ("%d requests: p50 %s, p95 %s"):format(#traces, percentile(0.5), percentile(0.95)),
  }
  local names = vim.tbl_keys(n_by)
  table.sort(names)
  for _, name in ipairs(names) do
    table.insert(lines, ("  %s: %d"):format(name, n_by[name]))
  end
  return lines
end

--- Return the file that the server logs to: what `--log-file` names, else Neovim's own log of language servers.
---@return string
function M.log_file()
  local running = client.all()[1]
  local cmd = running and running.config.cmd or require("completer.config").current.cmd
  for index, word in ipairs(type(cmd) == "table" and cmd or {}) do
    local file = word:match("^%-%-log%-file=(.+)") or (word == "--log-file" and cmd[index + 1])
    if file then
      return file
    end
  end
  return vim.lsp.log and vim.lsp.log.get_filename() or vim.lsp.get_log_path()
end

--- Say in lines what `completer/explain` answered.
---@param found table
---@return string[]
function M.explain_lines(found)
  local lines = {}
  local function section(title, values)
    table.insert(lines, "# " .. title)
    local names = vim.tbl_keys(values)
    table.sort(names)
    for _, name in ipairs(names) do
      table.insert(lines, ("%s: %s"):format(name, vim.json.encode(values[name])))
    end
  end
  if found.cursor then
    section("cursor", found.cursor)
    section("prompt", found.prompt)
    section("generation", found.generation)
    table.insert(lines, "# output of the model: text, probability, probability of the line so far")
    for _, word in ipairs(found.words) do
      table.insert(lines, ("%s %.3f %.3f"):format(vim.json.encode(word[1]), word[2], word[3]))
    end
    table.insert(lines, "# what was removed")
    for _, step in ipairs(found.steps) do
      table.insert(lines, ("%s: %s is left"):format(step.stage, vim.json.encode(step.text)))
    end
  end
  table.insert(lines, "# shown")
  local shown = found.shown and found.shown ~= ""
  table.insert(lines, shown and vim.json.encode(found.shown) or "nothing: " .. found.why)
  local reason = M.reason(found)
  if reason ~= "" then
    table.insert(lines, "reason: " .. reason)
  end
  return lines
end

--- Jump to the place of the next edit and apply it, or all edits like it; says so where there is none.
---
--- By the code action that every editor has. One undo takes all of a buffer back.
---@param all boolean
function M.next_edit(all)
  local asked = client.of(0)
  if not asked then
    need_client()
    return
  end
  local encoding = asked.offset_encoding
  local params = vim.lsp.util.make_range_params(0, encoding)
  params.context = { diagnostics = {}, only = { "refactor.rewrite" }, triggerKind = client.INVOKED }
  local actions = M.ask("textDocument/codeAction", params)
  if not actions then
    return
  end
  local action = type(actions) == "table" and actions[all and #actions or 1]
  if not action then
    say({ "completer: there is no next edit" })
    return
  end
  local changes = action.edit.documentChanges
  vim.lsp.util.apply_workspace_edit(action.edit, encoding)
  local first = { uri = changes[1].textDocument.uri, range = changes[1].edits[1].range }
  vim.lsp.util.show_document(first, encoding, { focus = true })
end

---@return lsp.TextDocumentIdentifier
local function this_document()
  return { uri = vim.uri_from_bufnr(vim.api.nvim_get_current_buf()) }
end

--- Switch suggestions off or on, and say so.
---@param on boolean
---@param where string?  "buffer", or nil for everywhere
local function set_enabled(on, where)
  require("completer").set_enabled(on, where == "buffer" and vim.api.nvim_get_current_buf() or nil)
  say({ ("completer: suggestions %s%s"):format(on and "on" or "off", where == "buffer" and " in this buffer" or "") })
end

--- Suggest nothing while typing for some minutes, and say until when. 0 ends it.
---@param minutes string?
local function snooze(minutes)
  local number = tonumber(minutes or SNOOZE_MIN)
  if not number then
    vim.notify(("completer: %q is no number of minutes"):format(minutes), vim.log.levels.ERROR)
    return
  end
  local status = M.ask("completer/snooze", { minutes = number })
  if status then
    session.clear()
    say({ "completer: suggestions " .. (status.reason == "" and "on" or status.reason) })
  end
end

M.subcommands = {
  on = function(where)
    set_enabled(true, where)
  end,
  off = function(where)
    set_enabled(false, where)
  end,
  snooze = snooze,
  next = function(which)
    M.next_edit(which == "all")
  end,
  explain = function(what)
    local params = { textDocument = this_document(), texts = what ~= "notext" }
    local found = M.ask("completer/explain", params)
    if found then
      local lines = M.explain_lines(found) -- of this buffer, not of the new one
      vim.cmd("botright new")
      vim.bo.buftype, vim.bo.bufhidden = "nofile", "wipe"
      vim.api.nvim_buf_set_lines(0, 0, -1, false, lines)
    end
  end,
  status = function()
    local status = M.ask("completer/status", { textDocument = this_document() })
    if status then
      say(M.status_lines(status))
    end
  end,
  stats = function()
    local metrics = M.ask("completer/metrics")
    if metrics then
      say(M.stats_lines(metrics.traces))
    end
  end,
  toggle = function(where)
    local scope = where == "buffer" and vim.b or vim.g
    set_enabled(scope.completer_enabled == false, where)
  end,
  restart = client.restart,
  log = function()
    vim.cmd.tabnew({ args = { vim.fn.fnameescape(M.log_file()) } })
  end,
}

--- Run `:Completer WORDS`.
---@param words string[]
function M.run(words)
  local subcommand = M.subcommands[words[1]]
  if not subcommand then
    local names = table.concat(M.complete("Completer "), ", ")
    vim.notify(("completer: there is no command %q: write one of %s"):format(words[1], names), vim.log.levels.ERROR)
    return
  end
  subcommand(words[2])
end

--- Return the words that may follow in a command line.
---@param line string
---@return string[]
function M.complete(line)
  local before, word = line:match("^%s*%S+%s+(.-)(%S*)$")
  local arguments = { toggle = { "buffer" }, on = { "buffer" }, off = { "buffer" }, explain = { "notext" }, next = { "all" } }
  local names = before == "" and vim.tbl_keys(M.subcommands) or arguments[vim.trim(before or "")] or {}
  table.sort(names)
  return vim.tbl_filter(function(name)
    return vim.startswith(name, word)
  end, names)
end

return M
