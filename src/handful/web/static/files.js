// Image files from a drop (folders included), from the clipboard and from the file picker.

const SUFFIX = /\.(jpe?g|jpe|jfif|png|webp|tiff?|bmp|gif)$/i;

/** Return the files of a drop or a paste; folders are walked through. */
export async function filesOf(transfer) {
  const entries = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  for (const entry of entries) await collect(entry, found, false);
  return found;
}

async function collect(entry, found, isInFolder) {
  if (entry instanceof File) {
    found.push(entry);
  } else if (entry?.isFile) {
    if (isInFolder && !SUFFIX.test(entry.name)) return;
    found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
  } else if (entry?.isDirectory) {
    for (const child of await childrenOf(entry)) await collect(child, found, true);
  }
}

async function childrenOf(folder) {
  const reader = folder.createReader();
  const children = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    children.push(...some);
  }
  return children.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}
