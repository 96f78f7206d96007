/** Offers only what the engine runs: the rest stays readable in files, but is not to be drawn anew. */
const NOT_RUN = /complex-gateway|ad-?hoc|transaction|cancel|instantiat/i;
const MENUS = ['bpmn-create', 'bpmn-append', 'bpmn-replace'];

function ReducedMenus(popupMenu) {
  const reduce = () => entries =>
    Object.fromEntries(
      Object.entries(entries).filter(([id, entry]) => !NOT_RUN.test(id) && !NOT_RUN.test(entry.className ?? '')),
    );
  for (const menu of MENUS) popupMenu.registerProvider(menu, 100, { getPopupMenuEntries: reduce, getEntries: reduce });
}
ReducedMenus.$inject = ['popupMenu'];

export default { __init__: ['reducedMenus'], reducedMenus: ['type', ReducedMenus] };
