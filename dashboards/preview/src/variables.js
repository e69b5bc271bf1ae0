// The page's variables: what is chosen, and how it stands in queries, titles and links.

/** Return each variable's value: a text box's own, one chosen by the address, else All. */
export function chosen(page, given) {
  const values = page.templating.list.map((variable) => [variable.name, given.get(`var-${variable.name}`) ?? unchosen(variable)]);
  return Object.fromEntries(values);
}

function unchosen(variable) {
  return { datasource: "prometheus", textbox: variable.query }[variable.type] ?? ".+";
}

/** Put values in place of $name, ${name} and ${name:format}; unknown names stay as they are. */
export function substituted(text, variables, more = {}) {
  const known = { ...variables, ...more };
  return text.replace(/\$\{([\w.]+)(?::\w+)?\}|\$(\w+)/g, (whole, braced, bare) => known[braced ?? bare] ?? whole);
}

/** Return what the bar above the page shows: each variable's label with the present choice. */
export function choices(page, variables) {
  return page.templating.list.map(({ name, label }) => [label ?? name, variables[name] === ".+" ? "All" : variables[name]]);
}
