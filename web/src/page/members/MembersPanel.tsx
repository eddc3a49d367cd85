import { LogOut, Pencil, ShieldMinus, ShieldPlus, Trash2, UserMinus, UserPlus, X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { type Conversation, may, type Role } from "../../lib/index.ts";
import { PublicSwitch } from "../channels/PublicSwitch.tsx";
import type { Person } from "../conversations/PeoplePicker.tsx";
import { Avatar } from "../parts/Avatar.tsx";
import { Button, IconButton } from "../parts/buttons.tsx";
import { Confirm } from "../parts/Confirm.tsx";
import { LiveAvatar } from "../presence/Faces.tsx";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";
import { fullDateOf } from "../time.ts";
import { AddPeople } from "./AddPeople.tsx";
import type { Actions } from "./actions.ts";
import { RenameForm } from "./RenameForm.tsx";

const words = texts.members;

export interface PanelMember extends Person {
  role: Role;
}

interface Props {
  title: string;
  face: { id: string; kind: "person" | "group" | "channel" };
  conversation: Conversation;
  userId: string;
  members: readonly PanelMember[];
  memberCount: number;
  /** There are members beyond these. */
  hasMore: boolean;
  actions: Actions;
  onClose: () => void;
}

type Asked =
  | { kind: "add" }
  | { kind: "remove"; member: PanelMember }
  | { kind: "leave" }
  | { kind: "delete" };

/** Who is in a conversation, and what may be changed about it. */
export default function MembersPanel(props: Props) {
  const { title, face, conversation, userId, members, memberCount, hasMore, actions, onClose } = props;
  const { type, isPublic } = conversation;
  const [asked, setAsked] = useState<Asked | null>(null);
  const [isRenaming, setRenaming] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const isDirect = type === "direct";
  const close = () => setAsked(null);
  const attempt = (action: Promise<void>) => {
    setFailure(null);
    action.catch((error) => setFailure(words.failed(reasonOf(error))));
  };
  // The last admin can hand the role on by leaving only.
  const isOnlyAdmin = members.filter((member) => member.role === "admin").length < 2;

  return (
    <section aria-label={words.title} className="flex h-full min-h-0 flex-col">
      <header className="flex min-h-16 items-center justify-between gap-2 pr-3 pl-5">
        <h2 className="font-semibold">{words.title}</h2>
        <IconButton icon={X} label={words.close} onClick={onClose} />
      </header>
      <div className="min-h-0 flex-1 overflow-y-auto px-3 pb-6">
        <div className="grid justify-items-center gap-3 px-2 pt-2 pb-6 text-center">
          <Avatar id={face.id} name={title} kind={face.kind} size="huge" />
          {isRenaming ? (
            <RenameForm name={title} rename={actions.rename} onClose={() => setRenaming(false)} />
          ) : (
            <p className="max-w-full font-display text-xl leading-snug [overflow-wrap:anywhere]">
              <bdi>{title}</bdi>
            </p>
          )}
          <p className="-mt-1 text-ink-soft text-sm">
            {isPublic ? texts.channels.publicKind : texts.conversations.kind[type]} ·{" "}
            {words.created(fullDateOf(new Date(conversation.createdAt)))}
          </p>
          {may("rename", conversation) && !isRenaming && (
            <div className="flex flex-wrap justify-center gap-2">
              <Button onClick={() => setRenaming(true)}>
                <Pencil aria-hidden="true" className="size-4" />
                {words.rename}
              </Button>
              <Button onClick={() => setAsked({ kind: "add" })}>
                <UserPlus aria-hidden="true" className="size-4" />
                {words.add}
              </Button>
            </div>
          )}
        </div>
        {may("publish", conversation) && (
          <PublicSwitch isOn={isPublic} onChange={(isOn) => attempt(actions.setPublic(isOn))} />
        )}
        <p role="alert" className={failure ? "px-2 py-1 text-danger text-sm" : "sr-only"}>
          {failure}
        </p>
        <h3 className="px-2 pt-3 pb-1 font-semibold text-ink-soft text-sm">{words.list(memberCount)}</h3>
        <ul>
          {members.map((member) => (
            <MemberRow key={member.userId} member={member} isSelf={member.userId === userId}>
              {may("change_role", conversation) && !(member.role === "admin" && isOnlyAdmin) && (
                <RoleButton
                  member={member}
                  onChange={(role) => attempt(actions.setRole(member.userId, role))}
                />
              )}
              {may("remove_member", conversation) && member.userId !== userId && (
                <IconButton
                  icon={UserMinus}
                  label={words.remove(member.userName)}
                  onClick={() => setAsked({ kind: "remove", member })}
                />
              )}
            </MemberRow>
          ))}
        </ul>
        {hasMore && (
          <Button className="mt-2 w-full" onClick={() => void actions.more()}>
            {words.more}
          </Button>
        )}
        {!isDirect && (
          <div className="mt-6 grid gap-2 border-line border-t px-2 pt-5">
            <Button look="danger" onClick={() => setAsked({ kind: "leave" })}>
              <LogOut aria-hidden="true" className="size-4" />
              {words.leave}
            </Button>
            {may("delete", conversation) && (
              <Button look="danger" onClick={() => setAsked({ kind: "delete" })}>
                <Trash2 aria-hidden="true" className="size-4" />
                {words.delete}
              </Button>
            )}
          </div>
        )}
      </div>
      {asked?.kind === "add" && (
        <AddPeople actions={actions} without={members.map((member) => member.userId)} onClose={close} />
      )}
      {asked?.kind === "remove" && (
        <Confirm
          title={words.remove(asked.member.userName)}
          question={words.confirmRemove(asked.member.userName, title)}
          submit={words.confirmRemoveSubmit}
          action={() => actions.remove(asked.member.userId)}
          onClose={close}
        />
      )}
      {asked?.kind === "leave" && (
        <Confirm
          title={words.leave}
          question={words.confirmLeave(title)}
          submit={words.confirmLeaveSubmit}
          action={actions.leave}
          onClose={close}
        />
      )}
      {asked?.kind === "delete" && (
        <Confirm
          title={words.delete}
          question={words.confirmDelete(title)}
          submit={words.confirmDeleteSubmit}
          action={actions.delete}
          onClose={close}
        />
      )}
    </section>
  );
}

function RoleButton({ member, onChange }: { member: PanelMember; onChange: (role: Role) => void }) {
  return member.role === "admin" ? (
    <IconButton
      icon={ShieldMinus}
      label={words.takeAdmin(member.userName)}
      onClick={() => onChange("member")}
    />
  ) : (
    <IconButton
      icon={ShieldPlus}
      label={words.makeAdmin(member.userName)}
      onClick={() => onChange("admin")}
    />
  );
}

function MemberRow(props: { member: PanelMember; isSelf: boolean; children: ReactNode }) {
  const { member, isSelf, children } = props;
  return (
    <li className="flex min-h-13 items-center gap-3 rounded-2xl px-2 py-1.5">
      <LiveAvatar id={member.userId} name={member.userName} />
      <p className="min-w-0 flex-1">
        <bdi className="block truncate leading-snug">{member.userName}</bdi>
        {isSelf && <span className="block text-ink-soft text-xs">{words.you}</span>}
      </p>
      {member.role === "admin" && (
        <span className="rounded-full bg-leaf-soft px-2.5 py-0.5 font-semibold text-leaf text-xs">
          {words.admin}
        </span>
      )}
      {children}
    </li>
  );
}
