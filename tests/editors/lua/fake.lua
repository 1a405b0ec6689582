--- A language server inside Neovim that does what a test says: `cmd = require("fake").start`.
---
--- It knows a text that the user is about to write (`target`) and suggests what of the current line is missing of it, so
--- that typing agrees with it. All that it is sent is in `events`; with `held` it answers only when told.
local M = {
  target = "",
  held = false,
  encoding = "utf-16",
  events = {},
  waiting = {}, ---@type table<integer, fun()>
  answer = nil, ---@type (fun(before: string, params: table): table[]?)?  items in place of those that follow from `target`
}

local n_answers = 0

---@param text string
---@param position table
---@param end_character integer?
function M.item(text, position, end_character)
  n_answers = n_answers + 1
  local last = { line = position.line, character = end_character or position.character }
  return {
    insertText = text,
    range = { start = position, ["end"] = last },
    command = { title = "", command = "completer.didAccept", arguments = { tostring(n_answers) } },
  }
end

local function items_for(params)
  local buf = vim.uri_to_bufnr(params.textDocument.uri)
  local line = vim.api.nvim_buf_get_lines(buf, params.position.line, params.position.line + 1, false)[1]
  local encoding = M.encoding == "utf-8" and "utf-8" or "utf-16"
  local col = require("completer.text").n_bytes(line, params.position.character, encoding)
  local before = line:sub(1, col):gsub("^%s+", "")
  local own = M.answer and M.answer(before, params)
  if own then
    return own
  end
  local _, last = M.target:find(before, 1, true)
  if before == "" or not last or last == #M.target then
    return {}
  end
  return { M.item(M.target:sub(last + 1), params.position) }
end

--- Return the params of the events of a method, oldest first.
function M.of(method)
  local found = {}
  for _, event in ipairs(M.events) do
    if event.method == method then
      table.insert(found, event.params or vim.empty_dict())
    end
  end
  return found
end

--- Answer everything that waits, oldest first.
function M.release()
  local ids = vim.tbl_keys(M.waiting)
  table.sort(ids)
  for _, id in ipairs(ids) do
    M.waiting[id]()
  end
end

--- Send a notification to the editor.
function M.send(method, params)
  M.dispatchers.notification(method, params)
end

local function reply(method, params)
  if method == "initialize" then
    return {
      capabilities = {
        positionEncoding = M.encoding,
        textDocumentSync = { openClose = true, change = 2 },
        inlineCompletionProvider = true,
      },
    }
  elseif method == "textDocument/inlineCompletion" then
    return { items = items_for(params) }
  elseif method == "completer/status" then
    return { state = "ready", message = "", model = "a model", engine = "fake", latency_p50_ms = 7, latency_p95_ms = 9 }
  elseif method == "completer/metrics" then
    return { traces = { { answered_by = "cold", total_ms = 50 }, { answered_by = "typed-through", total_ms = 2 } } }
  end
  return vim.NIL
end

function M.start(dispatchers)
  M.dispatchers = dispatchers
  local n_requests, closing = 0, false
  local server = {}

  function server.request(method, params, callback)
    n_requests = n_requests + 1
    local id = n_requests
    table.insert(M.events, { method = method, params = params, id = id })
    local result = reply(method, params)
    local function answer()
      M.waiting[id] = nil
      callback(nil, result)
    end
    if M.held and method == "textDocument/inlineCompletion" then
      M.waiting[id] = answer
    else
      vim.schedule(answer)
    end
    return true, id
  end

  function server.notify(method, params)
    table.insert(M.events, { method = method, params = params })
    if method == "$/cancelRequest" then
      M.waiting[params.id] = nil
    elseif method == "exit" then
      closing = true
      dispatchers.on_exit(0, 0)
    end
    return true
  end

  function server.is_closing()
    return closing
  end

  function server.terminate()
    closing = true
  end

  return server
end

return M
