--- Which program the server is. No lookup depends on the working directory, which may be the repository of a stranger.
local M = {}

local WINDOWS = vim.fn.has("win32") == 1

---@param path string
---@return boolean
local function is_absolute(path)
  if WINDOWS then
    return path:match("^%a:[/\\]") ~= nil or path:match("^[/\\][/\\]") ~= nil
  end
  return vim.startswith(path, "/")
end

--- Return the absolute path of a program: a name on the PATH, whose relative folders are skipped, or an absolute path.
---@param name string
---@return string? path  nil where there is no such program
function M.find(name)
  if is_absolute(name) then
    return vim.fn.executable(name) == 1 and name or nil
  end
  if name:find("[/\\]") then
    return nil
  end
  for folder in vim.gsplit(vim.env.PATH or "", WINDOWS and ";" or ":", { plain = true }) do
    if is_absolute(folder) and vim.fn.executable(folder .. "/" .. name) == 1 then
      return vim.fn.exepath(folder .. "/" .. name)
    end
  end
end

--- Return a command whose program is an absolute path, and the directory that it is started in: the program's own.
---
--- A program that is not there gets a path at which nothing lies, so that Neovim does not look for it by itself.
---@param cmd string[]
---@return string[] cmd, string cwd
function M.resolve(cmd)
  local beside_nvim = vim.fs.dirname(vim.v.progpath)
  local path = M.find(cmd[1]) or vim.fs.normalize(beside_nvim .. "/" .. cmd[1])
  local cwd = vim.fs.dirname(path)
  return vim.list_extend({ path }, cmd, 2), vim.fn.isdirectory(cwd) == 1 and cwd or beside_nvim
end

--- Return why a command cannot be run, and how to mend it; nil when nothing speaks against it.
---@param cmd string[]
---@return string?
function M.problem(cmd)
  if M.find(cmd[1]) then
    return nil
  end
  if cmd[1]:find("[/\\]") and not is_absolute(cmd[1]) then
    return ("completer: cmd in setup() names %q: write an absolute path"):format(cmd[1])
  end
  return ("completer: no program %q: install it, or set cmd in setup()"):format(cmd[1])
end

return M
