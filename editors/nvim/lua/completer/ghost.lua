--- Ghost text: what a suggestion would add, drawn by extmarks. Changes no text.
local text = require("completer.text")

local M = {}

local NAMESPACE = vim.api.nvim_create_namespace("completer")
local GROUP, UNSURE = "CompleterGhost", "CompleterSuggestionUnsure"

--- Define the highlight groups where neither the user nor the colour scheme has.
function M.define_highlight()
  vim.api.nvim_set_hl(0, GROUP, { default = true, link = "Comment" })
  vim.api.nvim_set_hl(0, UNSURE, { default = true, link = "NonText" })
end

--- Virtual text shows a tab as one cell, so tabs become the blanks that they will be.
---@param line string
---@param column integer  screen column at which the line begins
---@param tabstop integer
---@return string
local function expand_tabs(line, column, tabstop)
  local parts = {}
  for part, tab in line:gmatch("([^\t]*)(\t?)") do
    column = column + vim.fn.strdisplaywidth(part)
    table.insert(parts, part)
    if tab ~= "" then
      local n = tabstop - column % tabstop
      column = column + n
      table.insert(parts, (" "):rep(n))
    end
  end
  return table.concat(parts)
end

--- Return a text as virtual text: a list of chunks, what is sure first.
---@param piece string
---@param n_sure integer  in bytes; 0 or less: nothing of it
local function chunks(piece, n_sure)
  if n_sure >= #piece then
    return { { piece, GROUP } }
  end
  local unsure = { piece:sub(math.max(n_sure, 0) + 1), UNSURE }
  return n_sure > 0 and { { piece:sub(1, n_sure), GROUP }, unsure } or { unsure }
end

---@class completer.Line
---@field text string     without tabs
---@field n_sure integer  how many bytes of it are sure

---@param lines completer.Line[]
local function virtual(lines)
  return vim.tbl_map(function(line)
    return chunks(line.text, line.n_sure)
  end, lines)
end

--- Return the lines of what is to be shown.
---@param place completer.Place
---@param match completer.Match
---@return completer.Line[]
local function lines_of(place, match)
  local lines, n_sure = {}, match.n_sure
  local tabstop = vim.bo[place.buf].tabstop
  local column = vim.fn.strdisplaywidth(place.line:sub(1, place.col))
  for _, line in ipairs(vim.split(match.rest, "\n", { plain = true })) do
    local sure = expand_tabs(line:sub(1, math.max(n_sure, 0)), column, tabstop)
    table.insert(lines, { text = expand_tabs(line, column, tabstop), n_sure = #sure })
    n_sure, column = n_sure - #line - 1, 0
  end
  return lines
end

---@param place completer.Place
---@param offset integer  in bytes behind the cursor
---@param options table   of nvim_buf_set_extmark
local function mark(place, offset, options)
  options.undo_restore = false
  vim.api.nvim_buf_set_extmark(place.buf, NAMESPACE, place.row, place.col + offset, options)
end

--- Cover what stands behind the cursor: the text there moves behind the last line of the suggestion.
---@param place completer.Place
---@param lines completer.Line[]
---@param tail string     what stays behind it
local function draw_over(place, lines, tail)
  local covered = vim.fn.strdisplaywidth(place.line:sub(place.col + 1))
  local rows = virtual(lines)
  table.insert(rows[#rows], { tail, "Normal" })
  local first = table.remove(rows, 1)
  local width = vim.fn.strdisplaywidth(lines[1].text) + (#lines == 1 and vim.fn.strdisplaywidth(tail) or 0)
  table.insert(first, { (" "):rep(covered - width), "Normal" })
  mark(place, 0, { virt_text = first, virt_text_pos = "overlay", virt_lines = #rows > 0 and rows or nil })
end

--- Scroll as far as needed to see lines below the cursor's: nobody should take what is hidden below the window.
--- Mutates: the view of the current window.
---@param n_lines integer  of virtual text below the cursor's line
local function make_room(n_lines)
  local missing = n_lines - (vim.api.nvim_win_get_height(0) - vim.fn.winline())
  if n_lines > 0 and missing > 0 then
    local view = vim.fn.winsaveview()
    view.topline = math.min(view.topline + missing, view.lnum)
    vim.fn.winrestview(view)
  end
end

--- Draw what of a suggestion holds at a place, instead of what was drawn before. Mutates: extmarks of the buffer, and the
--- view of the current window where it has no room for several lines.
---@param place completer.Place
---@param match completer.Match
function M.show(place, match)
  M.hide(place.buf)
  local lines = lines_of(place, match)
  local behind = place.line:sub(place.col + 1)
  local pieces = #lines == 1 and text.pieces(lines[1].text, match.kept) or nil
  if pieces then
    local n_sure = lines[1].n_sure
    for _, piece in ipairs(pieces) do
      mark(place, piece.offset, { virt_text = chunks(piece.text, n_sure), virt_text_pos = "inline" })
      n_sure = n_sure - #piece.text
    end
  elseif behind == "" then
    local rows = virtual(lines)
    mark(place, 0, { virt_text = table.remove(rows, 1), virt_text_pos = "inline", virt_lines = rows })
  else
    draw_over(place, lines, behind:sub(#match.kept + 1))
  end
  make_room(#lines - 1)
end

--- Remove the ghost text of a buffer. Mutates: its extmarks.
---@param buf integer
function M.hide(buf)
  if vim.api.nvim_buf_is_valid(buf) then
    vim.api.nvim_buf_clear_namespace(buf, NAMESPACE, 0, -1)
  end
end

return M
