export const text = { type: 'string' } as const;
export const whole = { type: 'integer' } as const;
export const flag = { type: 'boolean' } as const;
/** Of which the form is not said here. */
export const any = { type: 'object' } as const;
export const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
export const list = (items: object) => ({ type: 'array', items });
export const mapOf = (values: object) => ({ type: 'object', additionalProperties: values });
export const oneOf = (...values: readonly string[]) => ({ enum: values });
export const orNull = (schema: object) => ({ anyOf: [schema, { type: 'null' }] });
export const object = (
  properties: Readonly<Record<string, object>>,
  required: readonly string[] = Object.keys(properties),
) => ({ type: 'object', properties, required });

export const json = (schema: object) => ({ 'application/json': { schema } });
export const inQuery = (name: string, schema: object, description: string) => ({
  name,
  in: 'query',
  schema,
  description,
});
export const inPath = (name: string) => ({ name, in: 'path', required: true, schema: text });
export const ok = (description: string, schema: object) => ({ description, content: json(schema) });

const error = { $ref: '#/components/responses/Error' };
const ERRORS = { 400: error, 401: error, 403: error, 429: error };
const INVALID = {
  description: 'The configuration would be invalid: every violation.',
  content: json(ref('Invalid')),
};
const WRITE_ERRORS = {
  ...ERRORS,
  404: error,
  409: {
    description: 'Somebody was faster (INMESH_CONFLICT), or it would remove too much (INMESH_MASS_REMOVAL).',
    content: json(ref('Error')),
  },
  422: INVALID,
  503: {
    description: 'Another control plane writes this store (INMESH_STORE_FOLLOWS); nothing was changed.',
    content: json(ref('Error')),
  },
  507: {
    description: 'It could not be written (INMESH_STORE_WRITE); nothing was changed.',
    content: json(ref('Error')),
  },
};

/** Something that is read. */
export const read = (summary: string, answer: object, parameters: readonly object[] = []) => ({
  summary,
  parameters,
  responses: { 200: ok('What there is.', answer), ...ERRORS, 404: error },
});

/** A text that is read. */
export const readText = (summary: string) => ({
  summary,
  parameters: [],
  responses: {
    200: { description: 'What there is.', content: { 'text/plain': { schema: text } } },
    ...ERRORS,
    404: error,
  },
});

/** A question with a body; it changes nothing. */
export const ask = (summary: string, body: object, answer: object, parameters: readonly object[] = []) => ({
  summary,
  parameters,
  requestBody: { required: true, content: json(body) },
  responses: { 200: ok('Nothing was changed.', answer), ...ERRORS, 404: error, 409: error, 422: INVALID },
});

/** A change. */
export const write = (
  summary: string,
  {
    body,
    answer = ref('Applied'),
    parameters = [],
    status = 200,
    role = 'operator',
  }: {
    readonly body?: object;
    readonly answer?: object;
    readonly parameters?: readonly object[];
    readonly status?: number;
    readonly role?: string;
  },
) => ({
  summary: `${summary} Role ${role}.`,
  parameters,
  ...(body !== undefined && { requestBody: { required: true, content: json(body) } }),
  responses: { [status]: ok('It is in force, and on the disk.', answer), ...WRITE_ERRORS },
});
