// The logger that Baileys is given: it keeps what a test wants to know and drops the rest.

/**
 * Calls complain(level, text) for warnings and errors, and unhandled(frame) for stanzas that Baileys has no use for,
 * which it only tells in its debug log. The text is that of the log line: what is in the objects beside it stays out.
 */
export function listen({ complain, unhandled }) {
  const nothing = () => {};
  const say = level => (context, text) => complain(level, [text ?? context, reason(context)].filter(Boolean).join(': '));
  const logger = {
    level: 'debug',
    child: () => logger,
    trace: nothing,
    debug: context => {
      if (context?.unhandled) unhandled(context.frame);
    },
    info: nothing,
    warn: say('warn'),
    error: say('error'),
  };
  return logger;
}

/** A logger that drops everything. */
export const silent = { ...listen({}), level: 'silent', debug() {}, warn() {}, error() {}, child: () => silent };

function reason(context) {
  const error = context?.err ?? context?.error ?? context?.e;
  return error?.message ?? context?.trace?.split('\n', 1)[0];
}
