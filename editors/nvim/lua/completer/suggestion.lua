--- What the server suggests at a place, and whether it still holds at another: pure but for reading the buffer.
local text = require("completer.text")

local M = {}

--- A cursor in a buffer, and all that a suggestion made there depends on.
---@class completer.Place
---@field buf integer
---@field row integer      0-based
---@field col integer      in bytes
---@field line string      the whole line
---@field n_lines integer  of the buffer
---@field tick integer     b:changedtick

---@class completer.Suggestion
---@field buf integer
---@field row integer      where `text` begins, 0-based
---@field col integer      the same, in bytes
---@field head string      what stood before it on that line
---@field kept string      what stood between the cursor and `tail`: accepting replaces it
---@field tail string      what stood behind it on the cursor's line, and stays
---@field n_lines integer  of the buffer, without the line breaks of `text` that are typed
---@field text string      all of it, also what was typed through since; lines end at "\n"
---@field id string        the server's name for it
---@field id_start integer how many bytes of `text` the server's own text for `id` begins later
---@field n_sure integer   how many bytes of `text` are as sure as what is shown while typing

--- What of a suggestion holds at a place.
---@class completer.Match
---@field typed string  the beginning that the buffer has already
---@field rest string   what is to be shown; never empty
---@field kept string   what accepting replaces behind the cursor
---@field n_sure integer  how many bytes of `rest` are sure

local CLOSERS = "^[%)%]}>\"'`]*$"

--- Return the cursor of the current window.
---@return completer.Place
function M.here()
  local buf = vim.api.nvim_get_current_buf()
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  return {
    buf = buf,
    row = row - 1,
    col = col,
    line = vim.api.nvim_get_current_line(),
    n_lines = vim.api.nvim_buf_line_count(buf),
    tick = vim.api.nvim_buf_get_changedtick(buf),
  }
end

--- Return the suggestion that an item of an answer is; nil where it has no place on the cursor's line.
---@param item table              lsp.InlineCompletionItem
---@param asked completer.Place   where the cursor was when the request was sent
---@param encoding string         of positions
---@return completer.Suggestion?
function M.from_item(item, asked, encoding)
  local start_col, end_col = asked.col, asked.col
  if item.range then
    local first, last = item.range.start, item.range["end"]
    if first.line ~= asked.row or last.line ~= asked.row then
      return nil
    end
    start_col = text.n_bytes(asked.line, first.character, encoding)
    end_col = text.n_bytes(asked.line, last.character, encoding)
  end
  local insert = item.insertText
  insert = (type(insert) == "table" and insert.value or insert):gsub("\r\n?", "\n")
  local command = type(item.command) == "table" and item.command.arguments or {}
  return {
    buf = asked.buf,
    row = asked.row,
    col = start_col,
    head = asked.line:sub(1, start_col),
    kept = asked.line:sub(asked.col + 1, end_col),
    tail = asked.line:sub(math.max(end_col, asked.col) + 1),
    n_lines = asked.n_lines,
    text = insert,
    id = command[1],
    id_start = 0,
    n_sure = item.n_sure or #insert,
  }
end

--- Say what of a suggestion holds at a place; nil when the buffer there is not how it begins.
---
--- Typing what it says, taking some of it, and deleting that again keep it alive. Closing brackets and quotes that
--- appeared behind the cursor since (a plugin pairs them) are taken as replaced when the rest brings them.
---@param suggestion completer.Suggestion
---@param place completer.Place  a cursor in the buffer as it is now
---@return completer.Match?
function M.match(suggestion, place)
  local row, col = suggestion.row, suggestion.col
  if place.buf ~= suggestion.buf or place.row < row or (place.row == row and place.col < col) then
    return nil
  end
  local first = place.row == row and place.line or vim.api.nvim_buf_get_lines(place.buf, row, row + 1, false)[1]
  if first:sub(1, col) ~= suggestion.head then
    return nil
  end
  local typed = table.concat(vim.api.nvim_buf_get_text(place.buf, row, col, place.row, place.col, {}), "\n")
  if not text.starts_with(suggestion.text, typed) or place.n_lines ~= suggestion.n_lines + text.n_breaks(typed) then
    return nil
  end
  local behind = place.line:sub(place.col + 1)
  local rest, kept = suggestion.text:sub(#typed + 1), behind:sub(1, #behind - #suggestion.tail)
  if rest == "" or not text.ends_with(behind, suggestion.tail) then
    return nil
  end
  local expected = kept == suggestion.kept
  local fits = (text.ends_with(suggestion.kept, kept) or kept:find(CLOSERS)) and text.pieces(rest, kept)
  local n_sure = math.max(0, suggestion.n_sure - #typed)
  return (expected or fits) and { typed = typed, rest = rest, kept = kept, n_sure = n_sure } or nil
end

--- Join a newer answer to a suggestion that was visible where it was asked for, so that what is shown never jumps.
---
--- A newer text that agrees prolongs the old one, or is dropped where the old one says more.
---@param old completer.Suggestion
---@param match completer.Match    what of `old` held where `newer` was asked for
---@param newer completer.Suggestion
---@param asked completer.Place
---@return completer.Suggestion? joined  nil where they disagree
function M.join(old, match, newer, asked)
  if newer.row ~= asked.row or newer.col ~= asked.col then
    return nil
  end
  local n_sure = math.max(old.n_sure, #match.typed + newer.n_sure)
  if #newer.text < #match.rest and text.starts_with(match.rest, newer.text) then
    return vim.tbl_extend("force", old, { n_sure = n_sure })
  end
  if not text.starts_with(newer.text, match.rest) then
    return nil
  end
  return vim.tbl_extend("force", old, {
    text = match.typed .. newer.text,
    id = newer.id,
    id_start = #match.typed,
    n_sure = n_sure,
    kept = newer.kept,
    tail = newer.tail,
  })
end

return M
