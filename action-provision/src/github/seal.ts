import sodium from 'libsodium-wrappers';

/** A public key as GitHub gives it. */
export interface SealingKey {
  readonly id: string;
  /** In base64. */
  readonly key: string;
}

/** Seals a secret so that only the holder of the private key can read it: a sealed box of libsodium, in base64. */
export async function seal(secret: string, { key }: Pick<SealingKey, 'key'>): Promise<string> {
  await sodium.ready;
  const publicKey = sodium.from_base64(key, sodium.base64_variants.ORIGINAL);
  const box = sodium.crypto_box_seal(sodium.from_string(secret), publicKey);
  return sodium.to_base64(box, sodium.base64_variants.ORIGINAL);
}
