import { describe, expect, test } from '@jest/globals';
import { errorResponse, packetLength, parseFirstPacket, sslRequest, startupPacket } from '../../src/postgres/wire.js';

const PROTOCOL_3 = 196608;
const int32s = (...values: number[]) => {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeInt32BE(value, index * 4));
  return bytes;
};

describe('the packet that opens a connection', () => {
  test('a startup packet comes back as it was written', () => {
    const parameters = new Map([
      ['user', 'zoë'],
      ['database', 'a b'],
      ['options', '-c x=y'],
      ['application_name', ''],
    ]);
    const packet = startupPacket(PROTOCOL_3, parameters);
    expect(packetLength(packet)).toBe(packet.length);
    expect(parseFirstPacket(packet)).toEqual({ kind: 'startup', protocol: PROTOCOL_3, parameters });
  });

  test.each([
    ['a request for TLS', sslRequest, 'ssl'],
    ['a request for GSS encryption', int32s(8, 80877104), 'gss'],
    ['a request to cancel', int32s(16, 80877102, 1, 2), 'cancel'],
    ['a TLS handshake at once', Buffer.from([0x16, 3, 1]), 'direct-tls'],
    ['nothing yet', Buffer.alloc(0), 'incomplete'],
    ['half a packet', startupPacket(PROTOCOL_3, new Map([['user', 'me']])).subarray(0, 12), 'incomplete'],
    ['another protocol', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'garbage'],
    ['an old protocol', int32s(8, 131072), 'garbage'],
    ['a packet of impossible length', int32s(1_000_000, PROTOCOL_3), 'garbage'],
  ])('%s', (_what, bytes, kind) => {
    expect(parseFirstPacket(bytes).kind).toBe(kind);
  });

  test.each([0, 1, 7, 8, 20])('an unfinished parameter list of %i bytes does no harm', (length) => {
    const body = Buffer.alloc(length, 'x');
    const packet = Buffer.concat([int32s(length + 8, PROTOCOL_3), body]);
    expect(parseFirstPacket(packet).kind).toBe('startup');
  });
});

test('an error is one message of the protocol', () => {
  const bytes = errorResponse({ severity: 'FATAL', code: '28P01', message: 'no' });
  expect(bytes[0]).toBe('E'.charCodeAt(0));
  expect(bytes.readInt32BE(1)).toBe(bytes.length - 1);
  expect(bytes.toString('utf8', 5)).toBe('SFATAL\0VFATAL\0C28P01\0Mno\0\0');
});
