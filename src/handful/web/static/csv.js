// The answers as a table for a spreadsheet.

/** Return one row an answered item: name, label, confidence, known, probabilities, error. */
export function csvOf(items) {
  const answered = items.filter((item) => item.answer);
  const classes = [...new Set(answered.flatMap(({ answer }) => Object.keys(answer.probabilities ?? {})))];
  const header = ["name", "label", "confidence", "is_known", "known", ...classes.map((c) => `p:${c}`), "error"];
  const rows = answered.map(({ file, answer }) => [
    file.name,
    answer.label,
    answer.confidence,
    answer.is_known,
    answer.known,
    ...classes.map((c) => answer.probabilities?.[c]),
    answer.error?.message,
  ]);
  return [header, ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
}

/** Quote a cell; text that a spreadsheet would run as a formula gets an apostrophe. */
function cell(value) {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
