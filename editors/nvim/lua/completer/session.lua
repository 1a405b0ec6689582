--- The way of a keystroke: what the editor did, what is shown at once, what is asked, what the answer changes.
---
---     key ── sync ──> does the visible suggestion go on like this? ──yes──> its rest is shown before the next redraw
---              └────> ask (cancels the question before) ── answer ──> join, match against the buffer as it is now ──> show
---
--- One suggestion is visible at a time, in the current buffer, in insert mode.
local client = require("completer.client")
local config = require("completer.config")
local ghost = require("completer.ghost")
local suggestion = require("completer.suggestion")
local text = require("completer.text")

local M = {}

--- A cursor that moved is left alone for so long before the server hears of it.
local REST_MS = 50

---@class completer.Asked: completer.Place
---@field uri string
---@field version integer?  of the document, as the server knows it
---@field encoding string

---@class completer.Counts
---@field shown integer
---@field accepted integer        whole suggestions and parts of them
---@field accepted_chars integer
---@field dismissed integer
M.counts = { shown = 0, accepted = 0, accepted_chars = 0, dismissed = 0 }

local state = {
  seen = nil, ---@type completer.Place?         where the cursor was at the last event
  asked = nil, ---@type completer.Asked?        the last question; its answer may still be prolonged
  cancel = nil, ---@type fun()?                 ends the question that is under way
  choices = {}, ---@type completer.Suggestion[] of the last answer
  current = nil, ---@type completer.Suggestion? the one that is visible
  resting = assert(vim.uv.new_timer()),
}

---@return boolean
local function inserting()
  return vim.api.nvim_get_mode().mode:sub(1, 1) == "i"
end

local function cancel()
  if state.cancel then
    state.cancel()
  end
  state.cancel, state.asked = nil, nil
end

--- Hide what is visible.
local function hide()
  if state.current then
    ghost.hide(state.current.buf)
    state.current = nil
  end
end

--- Hide what is visible and want no answer any more.
function M.clear()
  cancel()
  hide()
  state.choices, state.seen = {}, nil
end

--- Show what of a suggestion holds at the cursor. Return whether anything does.
---@param shown completer.Suggestion
---@param here completer.Place
---@return boolean
local function show(shown, here)
  local match = suggestion.match(shown, here)
  if not match then
    return false
  end
  if state.current and state.current.buf ~= here.buf then
    hide()
  end
  state.current = shown
  ghost.show(here, match)
  return true
end

---@param shown completer.Suggestion
local function did_show(shown)
  M.counts.shown = M.counts.shown + 1
  client.tell(shown.buf, "didShow", { id = shown.id })
end

--- Take the answer to a question, or what prolongs it.
---@param asked completer.Asked
---@param items table[]  lsp.InlineCompletionItem
local function take(asked, items)
  local here = suggestion.here()
  if not inserting() or here.buf ~= asked.buf then
    return
  end
  local choices = {}
  for _, item in ipairs(items) do
    table.insert(choices, suggestion.from_item(item, asked, asked.encoding))
  end
  if not choices[1] then
    return -- what is visible was typed through, and the server has nothing to add
  end
  local first, goes_on = choices[1], false
  local old = state.current and suggestion.match(state.current, asked)
  for index, choice in ipairs(old and choices or {}) do
    local joined = suggestion.join(state.current, old, choice, asked)
    if joined then
      choices[index], first, goes_on = joined, joined, true
      break
    end
  end
  state.choices = choices
  if show(first, here) then
    if not goes_on then
      did_show(first)
    end
  elseif not goes_on then
    hide()
  end
end

--- Ask the server at the cursor; the question before is cancelled.
---@param here completer.Place
---@param trigger_kind integer
---@param on_taken fun()?  called after the answer was taken
local function ask(here, trigger_kind, on_taken)
  cancel()
  local asking = client.of(here.buf)
  if not asking then
    return
  end
  local asked ---@type completer.Asked
  state.cancel = client.ask(asking, here, trigger_kind, function(items)
    state.cancel = nil
    take(asked, items)
    if on_taken then
      on_taken()
    end
  end)
  asked = vim.tbl_extend("force", here, {
    uri = vim.uri_from_bufnr(here.buf),
    version = client.version(here.buf), -- after sending: the request has flushed the changes
    encoding = asking.offset_encoding,
  })
  state.asked = asked
end

--- Tell the server where the cursor is when it has stayed there for a moment.
---@param here completer.Place
local function tell_when_resting(here)
  state.resting:start(
    REST_MS,
    0,
    vim.schedule_wrap(function()
      local now, telling = suggestion.here(), client.of(here.buf)
      if telling and now.buf == here.buf and now.tick == here.tick and now.row == here.row and now.col == here.col then
        client.tell(here.buf, "didMoveCursor", { position = client.position(telling, here) })
      end
    end)
  )
end

--- Bring what is visible, and the server, up to date with the current buffer. Called at every event that may have
--- changed text or cursor, as often as one likes: what was seen before is not handled again.
function M.sync()
  local here, seen = suggestion.here(), state.seen
  if seen and seen.buf == here.buf and seen.tick == here.tick and seen.row == here.row and seen.col == here.col then
    return
  end
  local typed = not seen or seen.buf ~= here.buf or seen.tick ~= here.tick
  if not client.of(here.buf) then
    return
  end
  if not inserting() then
    M.clear()
    return tell_when_resting(here)
  end
  state.seen = here
  if not (state.current and show(state.current, here)) then
    hide()
    if not typed then
      cancel()
    end
  end
  if not typed then
    tell_when_resting(here)
  elseif config.enabled(here.buf) and vim.fn.reg_executing() == "" then
    ask(here, client.AUTOMATIC)
  end
end

--- Ask, whatever the settings say about suggesting while typing.
function M.trigger()
  if inserting() then
    state.seen = suggestion.here()
    ask(state.seen, client.INVOKED)
  end
end

--- Show another suggestion of the same answer. Where there is only one, the server is asked for more.
---@param step integer  1 or -1
function M.cycle(step)
  local function turn()
    local at
    for index, choice in ipairs(state.choices) do
      at = choice == state.current and index or at
    end
    if at and #state.choices > 1 then
      local chosen = state.choices[(at - 1 + step) % #state.choices + 1]
      if show(chosen, suggestion.here()) then
        did_show(chosen)
      end
    end
  end
  if #state.choices > 1 then
    turn()
  elseif inserting() then
    state.seen = suggestion.here()
    ask(state.seen, client.INVOKED, turn)
  end
end

--- Return what of the visible suggestion is shown; nil where none is.
---@return string?
function M.visible()
  local match = state.current and suggestion.match(state.current, suggestion.here())
  return match and match.rest
end

--- Take the beginning of the visible suggestion into the buffer. Mutates: buffer and cursor; one step of undo.
---@param part fun(rest: string): string  what of the rest to take
---@return boolean taken  false where nothing is visible
function M.accept(part)
  local here = suggestion.here()
  local shown = state.current
  local match = shown and suggestion.match(shown, here)
  if not match then
    return false
  end
  local taken = part(match.rest)
  local left = match.rest:sub(#taken + 1)
  -- What stood behind the cursor goes when it was taken, too: all at the end, before that as little as fits.
  local n_replaced = 0
  while n_replaced < #match.kept and (left == "" or not text.pieces(left, match.kept:sub(n_replaced + 1))) do
    n_replaced = n_replaced + 1
  end
  local so_far = shown.text:sub(shown.id_start + 1, #match.typed + #taken)
  client.tell(here.buf, "didAccept", { id = shown.id, acceptedLength = text.n_units(so_far, "utf-16") })
  M.counts.accepted = M.counts.accepted + 1
  M.counts.accepted_chars = M.counts.accepted_chars + text.n_units(taken, "utf-32")

  vim.bo[here.buf].undolevels = vim.bo[here.buf].undolevels -- what is taken is undone by itself
  local lines = vim.split(taken, "\n", { plain = true })
  vim.api.nvim_buf_set_text(here.buf, here.row, here.col, here.row, here.col + n_replaced, lines)
  local col = #lines == 1 and here.col + #taken or #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { here.row + #lines, col })
  M.sync()
  return true
end

--- Send the visible suggestion away.
---@return boolean dismissed  false where nothing is visible
function M.dismiss()
  local shown = M.visible() and state.current
  if not shown then
    return false
  end
  client.tell(shown.buf, "didDismiss", { id = shown.id })
  M.counts.dismissed = M.counts.dismissed + 1
  cancel()
  hide()
  state.choices = {}
  return true
end

--- Take what the server sends when it has more of an answer: only as long as it is the last question's.
---@param more table  params of completer/didExtendSuggestion
function M.extend(more)
  local asked = state.asked
  local fits = asked
    and more.uri == asked.uri
    and more.version == asked.version
    and vim.deep_equal(more.position, { line = asked.row, character = text.n_units(asked.line:sub(1, asked.col), asked.encoding) })
  if fits then
    local n_sure = more.sureLength and text.n_bytes(more.text, more.sureLength, "utf-16")
    take(asked, { { insertText = more.text, range = more.range, command = { arguments = { more.id } }, n_sure = n_sure } })
  end
end

return M
