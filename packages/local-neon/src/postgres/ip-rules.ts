import { BlockList, isIP } from 'node:net';

/**
 * Whether an address is in a project's list of allowed ones: single addresses, CIDR blocks and ranges (`a-b`). An empty
 * list allows all; an entry that is none of these allows nobody.
 */
export function isAllowed(address: string, allowed: readonly string[]): boolean {
  if (allowed.length === 0) return true;
  const list = new BlockList();
  for (const entry of allowed) add(list, entry.replaceAll(/\s/g, ''));
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  return list.check(plain, familyOf(plain));
}

function add(list: BlockList, entry: string): void {
  const [address = '', prefix] = entry.split('/');
  const [first = '', last] = entry.split('-');
  if (isIP(entry) !== 0) list.addAddress(entry, familyOf(entry));
  else if (prefix !== undefined && isPrefix(address, prefix))
    list.addSubnet(address, Number(prefix), familyOf(address));
  else if (last !== undefined && isIP(first) !== 0 && isIP(first) === isIP(last)) addRange(list, first, last);
}

function addRange(list: BlockList, first: string, last: string): void {
  try {
    list.addRange(first, last, familyOf(first));
  } catch {
    // The other way round it is an empty range.
  }
}

const familyOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

function isPrefix(address: string, prefix: string): boolean {
  const family = isIP(address);
  return family !== 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 6 ? 128 : 32);
}
