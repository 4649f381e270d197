// How a box finds others before anybody told it: from a list of addresses. The list only says where to knock; who
// answers is known by the certificate alone, and nothing found here makes a member of any group.
import { isRefusal, type Refusal, refuse } from "../base/errors.ts";

/** Where a box may be, and the name that its certificate must prove. */
export interface Contact {
  box: string;
  /** "host:port", IPv6 in brackets. */
  endpoint: string;
}

/** More entries are refused: nobody knocks at more doors. */
export const contactsMax = 100;

/**
 * Parses the value of NEXUS_RAFT_PEERS: `box=host:port`, or `host:port` of a box whose name is its host's; commas or
 * white space between entries. INVALID names the first wrong entry.
 */
export function parseContacts(text: string): Contact[] | Refusal {
  const contacts: Contact[] = [];
  for (const entry of text.split(/[\s,]+/).filter((part) => part !== "")) {
    const contact = parseContact(entry);
    if (isRefusal(contact)) return contact;
    contacts.push(contact);
  }
  if (contacts.length <= contactsMax) return contacts;
  return refuse("INVALID", `NEXUS_RAFT_PEERS: at most ${contactsMax} entries, ${contacts.length} came`);
}

function parseContact(entry: string): Contact | Refusal {
  const [, name, endpoint = "", host = "", port = ""] =
    /^(?:([^=]+)=)?((\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5}))$/.exec(entry) ?? [];
  if (endpoint !== "" && Number(port) >= 1 && Number(port) <= 65_535) return { box: name ?? host, endpoint };
  return refuse("INVALID", `NEXUS_RAFT_PEERS: host:port or box=host:port is expected, ${entry} came`);
}
