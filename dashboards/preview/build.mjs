import { build } from "esbuild";

await build({
  entryPoints: ["src/main.jsx"],
  outdir: "dist",
  bundle: true,
  splitting: true,
  format: "esm",
  jsx: "automatic",
  define: { global: "window", "process.env.NODE_ENV": '"production"' },
  loader: { ".svg": "file", ".ttf": "file", ".woff": "file", ".woff2": "file" },
  logLevel: "warning",
});
