const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,64})-----([A-Za-z0-9+/=\s]*)-----END \1-----/g;

/** The DER of every PEM block with this label, in order. */
export function readPem(text: string, label: string): Buffer[] {
  const blocks: Buffer[] = [];
  for (const [, found, body = ''] of text.matchAll(BLOCK)) {
    if (found === label) blocks.push(Buffer.from(body, 'base64'));
  }
  return blocks;
}

/** DER as one PEM block. */
export function writePem(der: Uint8Array, label: string): string {
  const body = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  return `-----BEGIN ${label}-----\n${body.replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`;
}
