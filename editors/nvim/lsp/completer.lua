-- For `vim.lsp.enable("completer")` (Neovim 0.11 and later), which starts the server without `setup`.
local client = require("completer.client")

return vim.tbl_extend("force", client.config(), { root_markers = { ".git" }, reuse_client = client.serves })
