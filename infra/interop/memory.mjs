// An auth state of Baileys that lives as long as the process.
import { initAuthCreds } from 'baileys';

/** The credentials and keys of a companion that is not paired yet. */
export function newAuth() {
  const kept = {};
  return {
    creds: initAuthCreds(),
    keys: {
      get: (type, ids) => Object.fromEntries(ids.map(id => [id, kept[type]?.get(id)])),
      set: data => {
        for (const [type, values] of Object.entries(data)) {
          const store = (kept[type] ??= new Map());
          for (const [id, value] of Object.entries(values)) {
            if (value) store.set(id, value);
            else store.delete(id);
          }
        }
      },
    },
  };
}
