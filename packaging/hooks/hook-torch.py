"""In place of the hook that collects all of torch: only what `import torch` reaches, without headers, tests and tools."""

from PyInstaller.utils.hooks import collect_dynamic_libs

# Sources too: some of torch's own decorators read them when it is imported.
module_collection_mode = "pyz+py"
_UNUSED = ("_test.so", "libaoti_custom_ops", "libbackend_with_compiler", "libtorchbind_test", "libjitbackend_test")
binaries = [(file, folder) for file, folder in collect_dynamic_libs("torch") if not any(name in file for name in _UNUSED)]
