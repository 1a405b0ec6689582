--- Pure functions of text: units of positions, parts of a suggestion, and how it fits around text that stays.
local M = {}

--- How many bytes a character has, by its first byte; a stray byte counts as a character.
local function n_bytes_at(text, index)
  local byte = text:byte(index)
  local wanted = byte >= 0xF0 and 4 or byte >= 0xE0 and 3 or byte >= 0xC0 and 2 or 1
  return math.min(wanted, #text - index + 1)
end

---@param n_bytes integer  length of the character
---@param encoding string  "utf-8", "utf-16" or "utf-32"
local function units_of(n_bytes, encoding)
  if encoding == "utf-8" then
    return n_bytes
  end
  return encoding == "utf-16" and n_bytes == 4 and 2 or 1
end

--- Return the length of `text` in units of `encoding`.
---@param text string
---@param encoding string
---@return integer
function M.n_units(text, encoding)
  if encoding == "utf-8" then
    return #text
  end
  local n, index = 0, 1
  while index <= #text do
    local n_bytes = n_bytes_at(text, index)
    n, index = n + units_of(n_bytes, encoding), index + n_bytes
  end
  return n
end

--- Return how many bytes of `text` the first `n_units` units are; all of it where it is shorter.
---@param text string
---@param n_units integer
---@param encoding string
---@return integer
function M.n_bytes(text, n_units, encoding)
  local n, index = 0, 1
  while index <= #text and n < n_units do
    local n_bytes = n_bytes_at(text, index)
    n, index = n + units_of(n_bytes, encoding), index + n_bytes
  end
  return math.min(index - 1, #text)
end

---@param text string
---@param start string
---@return boolean
function M.starts_with(text, start)
  return text:sub(1, #start) == start
end

---@param text string
---@param ending string
---@return boolean
function M.ends_with(text, ending)
  return ending == "" or text:sub(-#ending) == ending
end

--- Return how many line breaks a text has.
---@param text string
---@return integer
function M.n_breaks(text)
  return select(2, text:gsub("\n", ""))
end

--- Return the first word of a text, with the blanks and line breaks in front of it; all of it where no word follows.
---@param text string
---@return string
function M.first_word(text)
  local word = vim.fn.matchstr(text, [[^\_s*\%(\k\+\|\%(\k\@!\S\)\+\)]])
  return word ~= "" and word or text
end

--- Return a text up to its next line break; breaks at its very start count as part of the line that follows them.
---@param text string
---@return string
function M.first_line(text)
  return text:match("^\n*[^\n]*")
end

---@class completer.Piece
---@field offset integer  in bytes of the text that stays: where the piece stands
---@field text string

--- Say which pieces must be put between the characters of `kept` so that they read `text`; nil where they never can.
---
--- Where the text ends with what is kept, all goes in front of it: of "a), b)" over ")" the bracket that stays is the
--- last. Else each kept character, all of ASCII, stands as early as it can.
---@param text string
---@param kept string  what stands behind the cursor and would be replaced
---@return completer.Piece[]?
function M.pieces(text, kept)
  if M.ends_with(text, kept) then
    return { { offset = 0, text = text:sub(1, #text - #kept) } }
  end
  if kept:find("[\128-\255]") then
    return nil
  end
  local pieces, from = {}, 1
  for offset = 1, #kept do
    local found = text:find(kept:sub(offset, offset), from, true)
    if not found then
      return nil
    end
    if found > from then
      table.insert(pieces, { offset = offset - 1, text = text:sub(from, found - 1) })
    end
    from = found + 1
  end
  if from <= #text then
    table.insert(pieces, { offset = #kept, text = text:sub(from) })
  end
  return pieces
end

return M
