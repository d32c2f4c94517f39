"""`atlas upgrade`: bring an older atlas to this version's schema."""

from ..diagnostics import visible
from ..options import DEFAULT_DB, Db


def upgrade(db: Db = DEFAULT_DB) -> None:
    """Bring an older atlas to this version's schema.

    A copy is changed and swapped in when it is whole, so an interruption leaves the atlas as it was.
    """
    from atlas.store.upgrading import upgrade as run_upgrade

    done = run_upgrade(db)
    if done.before != done.after:
        said = f"{db} went from schema {done.before} to {done.after}; all rows are kept."
    elif done.views:
        said = f"{db} has schema {done.after}; its views were made anew."
    else:
        said = f"{db} has schema {done.after} already; nothing was changed."
    print(visible(said))
    for each in done.mended if done.before == done.after else ():
        print(visible(f"Put right: {each.kind} {each.name}, which {each.what}."))
