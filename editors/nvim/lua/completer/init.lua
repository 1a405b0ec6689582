--- completer: code completion on every keystroke. `require("completer").setup{ … }`; see `:help completer`.
local client = require("completer.client")
local config = require("completer.config")
local ghost = require("completer.ghost")
local keys = require("completer.keys")
local session = require("completer.session")
local status = require("completer.status")

local M = {}

--- Take the suggestion, a part of it, another one, or send it away, or ask; for mappings of one's own. The first three
--- and `dismiss` return whether anything was visible.
M.accept = keys.actions.accept
M.accept_word = keys.actions.accept_word
M.accept_line = keys.actions.accept_line
M.next = keys.actions.next
M.previous = keys.actions.previous
M.dismiss = keys.actions.dismiss
M.trigger = keys.actions.trigger

--- Return the text of the visible suggestion, nil without one.
M.visible = session.visible

--- Return a few words about the server for a status line; "" if none completes the buffer. They change by themselves.
---@param buf integer?  nil: the current one, which in a status line is the buffer of its window
---@return string
function M.status(buf)
  return status.line(buf or vim.api.nvim_get_current_buf())
end

--- Client capabilities for those who start the server by `vim.lsp.start` themselves.
M.capabilities = client.capabilities

local enabled = false

--- Draw suggestions and map keys. Called by `setup`, or when somebody else's client named "completer" attaches.
function M.enable()
  if enabled then
    return
  end
  enabled = true
  local group = vim.api.nvim_create_augroup("completer", { clear = true })
  local function on(events, callback)
    vim.api.nvim_create_autocmd(events, { group = group, callback = callback })
  end
  on({ "TextChangedI", "TextChangedP", "CursorMovedI", "CursorMoved", "BufEnter" }, session.sync)
  -- The mode changes after this event. What `o` and `A` lead to is worth asking for.
  on("InsertEnter", vim.schedule_wrap(session.sync))
  on({ "InsertLeave", "BufLeave", "LspDetach" }, session.clear)
  on("ColorScheme", ghost.define_highlight)
  if config.current.autostart then
    on({ "FileType", "BufEnter", "InsertEnter" }, function(event)
      client.start(event.buf)
    end)
  end
  ghost.define_highlight()
  keys.install()
  vim.lsp.handlers["completer/didExtendSuggestion"] = function(_, more)
    session.extend(more)
  end
  vim.lsp.handlers[status.METHOD] = function(_, told, context)
    status.take(told, context.client_id)
  end
end

--- Configure, start the server for the files that are open and will be, and show what it suggests.
---
--- An error is raised where the options don't fit; see `completer.Config` in config.lua for them.
---@param options table?
function M.setup(options)
  config.set(options)
  enabled = false
  M.enable()
  if config.current.autostart then
    vim.schedule(function() -- a plugin manager may load us while the file is read: its filetype comes after that
      client.start(vim.api.nvim_get_current_buf())
    end)
  end
end

--- Switch suggestions off or on.
---@param on boolean
---@param buf integer?  only in this buffer; nil: everywhere
function M.set_enabled(on, buf)
  local scope = buf and vim.b[buf] or vim.g
  scope.completer_enabled = on
  if not on then
    session.clear()
  end
  vim.cmd.redrawstatus({ bang = true })
end

--- Switch suggestions off and on again.
---@param buf integer?  only in this buffer; nil: everywhere
---@return boolean enabled
function M.toggle(buf)
  local scope = buf and vim.b[buf] or vim.g
  local on = scope.completer_enabled == false
  M.set_enabled(on, buf)
  return on
end

return M
