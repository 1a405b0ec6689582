--- What the server tells of itself, for status lines: it sends each change, nothing is asked.
local client = require("completer.client")
local config = require("completer.config")

local M = {}

M.METHOD = "completer/didChangeStatus"

---@class completer.Status
---@field kind "loading"|"ready"|"quiet"|"slow"|"error"
---@field percent integer?
---@field message string
---@field reason string
---@field textDocument { uri: string }?  the one in which `reason` holds

local told = {} ---@type table<integer, completer.Status>  by client

--- Take what a server sent: status lines are drawn anew, autocommands of `User CompleterStatus` run.
---@param status completer.Status
---@param client_id integer
function M.take(status, client_id)
  told[client_id] = status
  vim.cmd.redrawstatus({ bang = true })
  vim.api.nvim_exec_autocmds("User", { pattern = "CompleterStatus", modeline = false, data = status })
end

--- Return what the server of a buffer told last; nil without a server, or before it told anything.
---@param buf integer
---@return completer.Status?
function M.of(buf)
  local ours = client.of(buf)
  return ours and told[ours.id]
end

--- Return the rule that keeps a buffer quiet; "" without one, or if another buffer's rule is the last that was told.
---@param status completer.Status
---@param buf integer
---@return string
local function reason(status, buf)
  local own = config.reason(buf)
  if own then
    return own
  end
  local meant = type(status.textDocument) == "table" and status.textDocument.uri
  local holds = status.kind == "quiet" and (not meant or meant == vim.uri_from_bufnr(buf))
  return holds and status.reason or ""
end

--- Return a few words for a status line; "" if no server completes the buffer.
---@param buf integer
---@return string
function M.line(buf)
  local status = M.of(buf)
  if not status then
    return client.of(buf) and "completer" or ""
  elseif status.kind == "loading" then
    return type(status.percent) == "number" and ("completer %d%%"):format(status.percent) or "completer loading"
  elseif status.kind == "error" then
    return "completer: error"
  end
  local quiet = reason(status, buf)
  if quiet ~= "" then
    return "completer " .. quiet
  end
  return status.kind == "slow" and "completer: slow" or "completer"
end

return M
