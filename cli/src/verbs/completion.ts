import type { Command } from "commander";
import { UsageError } from "../durations.ts";
import { verb } from "../tools.ts";

const shells = ["bash", "zsh", "fish"] as const;

export function completionVerbs(program: Command): void {
  program
    .command("completion <shell>")
    .description("print a completion script: source <(nexus completion bash)")
    .action(verb(async (_tools, shell: string) => process.stdout.write(scriptOf(program, shell))));
}

function scriptOf(program: Command, shell: string): string {
  const words = program.commands.map((command) => command.name()).sort();
  const below = program.commands
    .filter((command) => command.commands.length > 0)
    .map((command) => [command.name(), command.commands.map((sub) => sub.name())] as const);
  switch (shell as (typeof shells)[number]) {
    case "bash":
      return `_nexus() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  case "$prev" in
${below.map(([name, subs]) => `    ${name}) COMPREPLY=($(compgen -W "${subs.join(" ")}" -- "$cur")); return ;;`).join("\n")}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$cur")); else COMPREPLY=($(compgen -f -- "$cur")); fi
}
complete -F _nexus nexus
`;
    case "zsh":
      return `#compdef nexus
_nexus() {
  if (( CURRENT == 2 )); then compadd ${words.join(" ")}; return; fi
  case "$words[2]" in
${below.map(([name, subs]) => `    ${name}) (( CURRENT == 3 )) && compadd ${subs.join(" ")} ;;`).join("\n")}
    *) _files ;;
  esac
}
compdef _nexus nexus
`;
    case "fish":
      return [
        `complete -c nexus -n "__fish_use_subcommand" -f -a "${words.join(" ")}"`,
        ...below.map(
          ([name, subs]) => `complete -c nexus -n "__fish_seen_subcommand_from ${name}" -f -a "${subs.join(" ")}"`,
        ),
        "",
      ].join("\n");
    default:
      throw new UsageError(`completion: expected ${shells.join(", ")}, got "${shell}"`);
  }
}
