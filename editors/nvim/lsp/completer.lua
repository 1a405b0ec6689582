-- For `vim.lsp.enable("completer")` (Neovim 0.11 and later), which starts the server without `setup`.
return require("completer.client").config()
