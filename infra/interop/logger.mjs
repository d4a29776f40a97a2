// Loggers that Baileys is given: it has no switch for its log.

const nothing = () => {};

/** A logger that drops everything. */
export const silent = {
  level: 'silent', child: () => silent, trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing,
};

/**
 * A logger that calls complain(level, text) for warnings and errors, and unhandled(frame) for stanzas that Baileys has
 * no use for, which it only tells in its debug log. The text is that of the line with that of the error beside it.
 */
export function listen({ complain, unhandled }) {
  const say = level => (context, text) => complain(level, [text ?? context, reason(context)].filter(Boolean).join(': '));
  const logger = {
    ...silent,
    level: 'debug',
    child: () => logger,
    debug: context => {
      if (context?.unhandled) unhandled(context.frame);
    },
    warn: say('warn'),
    error: say('error'),
  };
  return logger;
}

function reason(context) {
  const error = context?.err ?? context?.error ?? context?.e;
  return error?.message ?? context?.trace?.split('\n', 1)[0];
}
